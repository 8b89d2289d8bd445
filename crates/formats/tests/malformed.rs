//! Model files with one defect each: the error says what is wrong, and where.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use fewstep_formats::{
    Checkpoint, Error, Result, read_checkpoint, read_edm_pickle, read_torch_legacy, read_torch_zip,
};
use made::*;

/// A valid file with a tensor that may be invalid, whose storage has four numbers.
fn with_tensor(offset: i64, shape: &[i64], strides: &[i64]) -> Result<Checkpoint> {
    read_torch_zip(&torch_zip(&one_tensor(4, offset, shape, strides), &[("0", &floats(&[1., 2., 3., 4.]))]))
}

fn message(result: Result<Checkpoint>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn whole_files_are_read() {
    let object = one_tensor(4, 0, &[2, 2], &[1, 2]);
    let data = floats(&[1., 2., 3., 4.]);
    for file in [torch_zip(&object, &[("0", &data)]), torch_legacy(&object, &[("0", &data)])] {
        let checkpoint = read_checkpoint(&file).unwrap();
        assert_eq!(checkpoint.get("w").unwrap().to_f32(), [1., 3., 2., 4.]);
    }
    let network = read_checkpoint(&edm_pickle(&[1., 2., 3.])).unwrap();
    let names: Vec<_> = network.arrays.iter().map(|array| array.name.as_str()).collect();
    assert_eq!(names, ["scale", "conv.weight"]);
    assert_eq!(network.class_name.as_deref(), Some("Precond"));
    assert_eq!(network.options.get("channels").unwrap().as_int(), Some(3));
}

#[test]
fn any_global_that_tensors_do_not_need_is_refused_by_name_wherever_it_is() {
    for (module, name) in [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch.storage", "UntypedStorage"),
        ("torch.serialization", "_load"),
        ("collections", "OrderedDict.__init__"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("torch_utils.persistence", "_src_to_module"),
        ("", ""),
    ] {
        let plain = call(global(module, name), &[text("x")]);
        let on_stack = call(stack_global(module, name), &[text("x")]);
        let remembered =
            [text(module), b"q\x00".to_vec(), text(name), b"q\x0100h\x00h\x01\x93".to_vec()].concat();
        let instance = format!("(Vx\ni{module}\n{name}\n").into_bytes();
        let data = floats(&[1.]);
        let mut files = Vec::new();
        for hostile in [plain, on_stack, remembered, instance] {
            let beside = dict(&[("w", tensor(storage("0", 1), 0, &[1], &[1])), ("x", hostile.clone())]);
            files.push(torch_zip(&beside, &[("0", &data)]));
            files.push(torch_legacy(&beside, &[("0", &data)]));
            files.push(pickle(&dict(&[("ema", hostile.clone())])));
            // Outside the values that are read: in another entry, or popped at once.
            files.push(pickle(&dict(&[("other", hostile.clone()), ("ema", NONE.to_vec())])));
            files.push(pickle(&[hostile.clone(), b"0N".to_vec()].concat()));
            // In each pickle of a file of the old format, alone and embedded as a storage.
            let [magic, version, system] = [MAGIC.to_vec(), int(1001), dict(&[])].map(|value| pickle(&value));
            for parts in [
                vec![pickle(&hostile)],
                vec![magic.clone(), pickle(&hostile)],
                vec![magic.clone(), version.clone(), pickle(&hostile)],
                vec![magic.clone(), version.clone(), system.clone(), pickle(&hostile)],
                vec![
                    magic.clone(),
                    version.clone(),
                    system.clone(),
                    pickle(&storage("0", 0)),
                    pickle(&hostile),
                ],
            ] {
                let inner = parts.concat();
                let loaded = call(global("torch.storage", "_load_from_bytes"), &[bytes(&inner)]);
                files.push(pickle(&dict(&[("ema", loaded)])));
                if parts.len() > 1 {
                    files.push(inner);
                }
            }
        }
        for file in files {
            match read_checkpoint(&file) {
                Err(Error::ForbiddenGlobal { global, .. }) => assert_eq!(global, format!("{module}.{name}")),
                other => panic!("{module}.{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn the_offset_is_that_of_the_opcode() {
    let file = pickle(&dict(&[("ema", call(global("os", "system"), &[]))]));
    let at = file.windows(4).position(|bytes| bytes == b"cos\n").unwrap();
    let message = message(read_checkpoint(&file));
    let expected = format!(
        "EDM pickle: at byte {at}: names the global `os.system`, which is not on the list of those that tensors need; nothing of the file was run"
    );
    assert_eq!(message, expected);
    let inner = pickle(&global("os", "system"));
    let file = pickle(&call(global("torch.storage", "_load_from_bytes"), &[bytes(&inner)]));
    let at = file.windows(4).position(|bytes| bytes == b"cos\n").unwrap() as u64;
    assert!(matches!(read_edm_pickle(&file), Err(Error::ForbiddenGlobal { offset, .. }) if offset == at));
}

#[test]
fn a_known_global_may_only_be_used_as_tensors_use_it() {
    for wrong in [
        call(global("torch", "FloatStorage"), &[int(3)]),
        call(global("torch.nn.modules.container", "ModuleDict"), &[]),
        [global("torch._utils", "_rebuild_tensor_v2"), b")\x81".to_vec()].concat(),
        call(global("torch._utils", "_rebuild_tensor_v2"), &[]),
        call(global("torch.storage", "_load_from_bytes"), &[text("x")]),
        call(global("collections", "OrderedDict"), &[int(3)]),
        call(text("os"), &[]),
        [ordered_dict(), NONE.to_vec(), b"a".to_vec()].concat(),
        [list(&[]), text("k"), NONE.to_vec(), b"s".to_vec()].concat(),
        [call(global("numpy", "dtype"), &[text("f8")]), b")b)b".to_vec()].concat(),
        [global("collections", "OrderedDict"), b"Nb".to_vec()].concat(),
        [storage("0", 1), b"Nb".to_vec()].concat(),
    ] {
        let error = read_edm_pickle(&pickle(&dict(&[("ema", wrong)]))).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
    for opcode in [0x82, 0x83, 0x84, b'P', 0x92, 0x97, 0x98, b'o', 0xff] {
        let error = read_edm_pickle(&pickle(&[b'N', opcode, 0, 0, 0, 0])).unwrap_err();
        assert!(matches!(error, Error::Malformed { offset: 3, .. }), "{opcode:#x}: {error}");
    }
}

#[test]
fn storages_must_be_in_the_file_and_have_the_claimed_length() {
    let data = floats(&[1., 2., 3., 4.]);
    let object = dict(&[("a.b", tensor(storage("9", 4), 0, &[4], &[1]))]);
    for error in [read_torch_zip(&torch_zip(&object, &[("0", &data)])), read_edm_pickle(&pickle(&object))] {
        let Err(Error::MissingStorage { tensor, key, .. }) = &error else {
            assert!(matches!(error, Err(Error::Part { .. })), "{error:?}");
            continue;
        };
        assert_eq!((tensor.as_str(), key.as_str()), ("a.b", "9"));
    }
    let error = read_torch_legacy(&torch_legacy(&object, &[])).unwrap_err();
    assert!(matches!(&error, Error::MissingStorage { tensor, .. } if tensor == "a.b"), "{error}");
    let in_pickle = pickle(&dict(&[("ema", object)]));
    assert!(matches!(read_edm_pickle(&in_pickle), Err(Error::MissingStorage { .. })));
    // A storage that nothing refers to, a storage that occurs twice, and storages with another length.
    let object = one_tensor(4, 0, &[4], &[1]);
    for storages in [vec![("0", &data), ("1", &data)], vec![("0", &data), ("0", &data)]] {
        let storages: Vec<_> = storages.iter().map(|(key, data)| (*key, data.as_slice())).collect();
        assert!(matches!(read_torch_legacy(&torch_legacy(&object, &storages)), Err(Error::Malformed { .. })));
    }
    for n in [3, 5, i64::MAX, -1] {
        let object = one_tensor(n, 0, &[2], &[1]);
        assert!(
            matches!(read_torch_zip(&torch_zip(&object, &[("0", &data)])), Err(Error::Part { .. })),
            "{n}"
        );
        let error = read_torch_legacy(&torch_legacy(&object, &[("0", &data)])).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{n}: {error}");
    }
    // A length past the file's end, the same in the reference and in the storage.
    let mut file = torch_legacy(&one_tensor(1 << 60, 0, &[2], &[1]), &[("0", &data)]);
    let at = file.len() - data.len() - 8;
    file[at..at + 8].copy_from_slice(&(1i64 << 60).to_le_bytes());
    let error = read_torch_legacy(&file).unwrap_err();
    assert!(matches!(error, Error::PastEnd { left: 16, .. }), "{error}");
}

#[test]
fn views_must_keep_to_their_storage() {
    assert_eq!(with_tensor(1, &[3], &[1]).unwrap().arrays[0].to_f32(), [2., 3., 4.]);
    assert_eq!(with_tensor(3, &[2, 1], &[0, 9]).unwrap().arrays[0].to_f32(), [4., 4.]);
    assert_eq!(with_tensor(4, &[0, 7], &[9, 9]).unwrap().arrays[0].shape, [0, 7]);
    for (offset, shape, strides) in [
        (2, vec![3], vec![1]),
        (0, vec![5], vec![1]),
        (0, vec![2, 2], vec![3, 1]),
        (5, vec![0], vec![1]),
        (-1, vec![1], vec![1]),
        (0, vec![-1], vec![1]),
        (3, vec![2], vec![-1]),
        (0, vec![2], vec![]),
        (0, vec![2], vec![1, 1]),
        (0, vec![i64::MAX, i64::MAX], vec![0, 0]),
        (0, vec![i64::MAX, i64::MAX], vec![i64::MAX, 1]),
        (i64::MAX, vec![1], vec![1]),
        (0, vec![1; 65], vec![1; 65]),
    ] {
        let error = with_tensor(offset, &shape, &strides).unwrap_err();
        let right = matches!(&error, Error::Part { part, .. } if part == "w")
            || matches!(error, Error::Unfolds { .. });
        assert!(right, "{offset} {shape:?} {strides:?}: {error}");
    }
    let text = message(with_tensor(2, &[3], &[1]));
    assert_eq!(
        text,
        "torch archive: `w`: expected a view within the 4 elements of its storage, got shape [3], strides [1], offset 2"
    );
}

#[test]
fn nesting_is_limited_in_every_form() {
    let repeat = |opcode: &[u8]| opcode.repeat(300);
    for deep in [
        [repeat(b"]"), b"N".to_vec(), repeat(b"a")].concat(),
        [b"N".to_vec(), repeat(&[0x85])].concat(),
        [repeat(b"("), b"N".to_vec(), repeat(b"t")].concat(),
        [repeat(b"}N"), b"N".to_vec(), repeat(b"s")].concat(),
        // A list that holds itself, and a pair of them.
        [b"]q\x00".to_vec(), repeat(b"h\x00a")].concat(),
        [b"]q\x00]q\x01a".to_vec(), repeat(b"h\x01h\x00a0h\x00h\x01a0"), b"0N".to_vec()].concat(),
    ] {
        let error = read_edm_pickle(&pickle(&deep)).unwrap_err();
        assert!(matches!(error, Error::TooDeep { limit: 256, .. }), "{error}");
    }
    // Less nesting is accepted.
    let shallow = [b"]".repeat(200), b"N".to_vec(), b"a".repeat(200)].concat();
    read_edm_pickle(&pickle(&dict(&[("ema", shallow)]))).unwrap();
    // A list that was added to itself while it was empty is found during the walk.
    let cycle = b"]q\x00h\x00a".to_vec();
    let error = read_edm_pickle(&pickle(&dict(&[("ema", cycle)]))).unwrap_err();
    assert!(matches!(error, Error::TooDeep { .. }), "{error}");
    let flax = [[0x81, 0xa1, b'x'].repeat(100), vec![0xc0]].concat();
    assert!(matches!(read_checkpoint(&flax), Err(Error::TooDeep { limit: 64, .. })));
}

#[test]
fn shared_values_may_not_expand_without_bound() {
    let data = floats(&[0.5; 250_000]);
    let one = tensor(storage("0", 250_000), 0, &[250_000], &[1]);
    let many = |n: usize| {
        let pairs: Vec<u8> =
            (0..n).flat_map(|i| [text(&i.to_string()), b"h\x05".to_vec()].concat()).collect();
        [one.as_slice(), b"q\x050}(", &pairs, b"u"].concat()
    };
    assert_eq!(read_torch_zip(&torch_zip(&many(3), &[("0", &data)])).unwrap().arrays.len(), 3);
    let error = read_torch_zip(&torch_zip(&many(10), &[("0", &data)])).unwrap_err();
    assert!(matches!(error, Error::Unfolds { .. }), "{error}");
    let error = with_tensor(0, &[1 << 40], &[0]).unwrap_err();
    assert!(matches!(error, Error::Unfolds { .. }), "{error}");
    // Thirty levels of lists, each with ten references to the previous one.
    let mut lists = list(&[]);
    for _ in 0..30 {
        lists = [lists.as_slice(), b"q\x000](", &b"h\x00".repeat(10), b"e"].concat();
    }
    let error = read_edm_pickle(&pickle(&dict(&[("ema", lists)]))).unwrap_err();
    assert!(matches!(error, Error::Unfolds { .. }), "{error}");
    // Many sets made from the same list.
    let items = [list(&vec![NONE.to_vec(); 1000]).as_slice(), b"q\x000"].concat();
    let sets =
        [global("builtins", "set"), b"q\x010".to_vec(), b"h\x01h\x00\x85R0".repeat(1000), b"N".to_vec()]
            .concat();
    let error = read_edm_pickle(&pickle(&[items, sets].concat())).unwrap_err();
    assert!(matches!(error, Error::Unfolds { .. }), "{error}");
}

#[test]
fn claims_past_the_end_are_named() {
    for (claim, what) in [
        (&b"X\xff\xff\xff\xff"[..], "a text"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "a text"),
        (b"T\xff\xff\xff\x7f", "a string"),
        (b"B\xff\xff\xff\xff", "a string of bytes"),
        (b"\x8e\x00\x00\x00\x00\x00\x00\x00\x10", "a string of bytes"),
        (b"\x96\x00\x00\x00\x00\x00\x00\x00\x10", "a string of bytes"),
        (b"\x8b\xff\xff\xff\xff", "a whole number"),
        (b"\x95\xff\xff\xff\xff\xff\xff\xff\xff", "a frame"),
    ] {
        let error = read_edm_pickle(&pickle(claim)).unwrap_err();
        assert!(matches!(&error, Error::PastEnd { what: named, .. } if named == what), "{error}");
    }
    let error = read_edm_pickle(&pickle(b"Nr\xff\xff\xff\xff")).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}

#[test]
fn truncated_files_are_refused() {
    let seeds = seeds();
    assert!(seeds.len() > 25, "{}", seeds.len());
    for (name, file) in seeds {
        read_checkpoint(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        for len in 0..file.len() {
            let error = read_checkpoint(&file[..len]).unwrap_err();
            assert!(!matches!(error, Error::ForbiddenGlobal { .. }), "{name} cut at {len}: {error}");
        }
        let longer = [file.as_slice(), b"\0"].concat();
        assert!(read_checkpoint(&longer).is_err(), "{name} and a byte");
    }
    let error = read_edm_pickle(&[0x80, 4, b'N']).unwrap_err();
    assert_eq!(
        error.to_string(),
        "EDM pickle: stops in the middle: ends at byte 3 without the opcode that ends a pickle"
    );
}

#[test]
fn an_unknown_file_is_shown() {
    for (file, start) in [(&b""[..], "nothing"), (b"\x00\x01\x02 hello", "\"\\x00\\x01\\x02 hello\"")] {
        let error = read_checkpoint(file).unwrap_err();
        assert!(matches!(&error, Error::Unrecognised { start: got } if got == start), "{error}");
    }
}
