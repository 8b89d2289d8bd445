//! Hostile files that try to make a reader use as much memory as possible.

use zip::CompressionMethod;

use super::*;

/// Files of every kind, of about `n` bytes or less.
pub(crate) fn greedy(n: usize) -> Vec<(&'static str, Vec<u8>)> {
    [pickles(n), tensors(n), others(n), archives(n)].concat()
}

fn pickles(n: usize) -> Vec<(&'static str, Vec<u8>)> {
    let repeat = |item: &[u8]| item.repeat(n / item.len());
    let dropped = |item: &[u8]| pickle(&[repeat(item).as_slice(), b"N"].concat());
    let listed = |item: &[u8]| ema(&[b"](", repeat(item).as_slice(), b"e"].concat());
    let called = |item: &[u8]| {
        let class = [global("collections", "OrderedDict").as_slice(), b"q\x000"].concat();
        pickle(&[class.as_slice(), &repeat(item), b"N"].concat())
    };
    let puts: Vec<u8> = (0..n / 5).flat_map(|i| [b"r", &(i as u32).to_le_bytes()[..]].concat()).collect();
    let far = ((n / 5) as u32).to_le_bytes();
    vec![
        ("empty lists", dropped(b"]")),
        ("empty dictionaries", dropped(b"}")),
        ("lists of one", dropped(b"]Na")),
        ("dictionaries of one", dropped(b"}NNs")),
        ("pairs", dropped(b"NN\x86")),
        ("lists in a memo", dropped(b"]\x94")),
        ("marks", pickle(&repeat(b"("))),
        ("memo", pickle(&[b"N", repeat(b"\x94").as_slice()].concat())),
        ("memo by number", pickle(&[b"N", puts.as_slice()].concat())),
        ("far memo", pickle(&[b"N", repeat(&[b"r", far.as_slice()].concat()).as_slice()].concat())),
        ("duplicates", pickle(&[b"N", repeat(b"2").as_slice()].concat())),
        ("calls", called(b"h\x00)R")),
        ("objects", called(b"h\x00)\x81")),
        ("instances", dropped(b"(icollections\nOrderedDict\n")),
        ("list of nothing", listed(b"N")),
        ("list of lists", listed(b"]")),
        ("list of truths", listed(b"\x88")),
        ("list of empty texts", listed(b"\x8c\x00")),
        ("list of texts with escapes", listed(b"V\xff\xff\n")),
        ("lists that grow", ema(&[b"]", repeat(b"Na").as_slice()].concat())),
        ("dictionary of nothing", ema(&[b"}(", repeat(b"K\x01N").as_slice(), b"u"].concat())),
        ("one text with escapes", ema(&[b"V", repeat(b"\xff").as_slice(), b"\n"].concat())),
        ("one whole number", ema(&[b"\x8b", &(n as u32).to_le_bytes()[..], &repeat(b"\x7f")].concat())),
        ("one list again and again", again(b"]", &repeat(b"h\x00"))),
        ("one list in many sets", {
            let items = [b"](", b"N".repeat(1000).as_slice(), b"e"].concat();
            let set = [global("builtins", "set").as_slice(), b"q\x010", &items].concat();
            again(&set, &b"h\x01h\x00\x85R".repeat(n / 1000))
        }),
        ("long keys", {
            let key = [text(&"k".repeat(n / 100)).as_slice(), b"q\x000"].concat();
            ema(&[key.as_slice(), &b"}h\x00".repeat(200), b"N", &b"s".repeat(200)].concat())
        }),
    ]
}

/// A pickle whose `ema` entry, which is read, is this value.
fn ema(value: &[u8]) -> Vec<u8> {
    pickle(&dict(&[("ema", value.to_vec())]))
}

/// A pickle with a value at place 0 of the memo, and a list of `items`.
fn again(value: &[u8], items: &[u8]) -> Vec<u8> {
    ema(&[value, b"q\x000](", items, b"e"].concat())
}

fn tensors(n: usize) -> Vec<(&'static str, Vec<u8>)> {
    let one = |values: &[f32], shape| tensor(inner_storage(values), 0, &[shape], &[0]);
    let keys: Vec<String> = (0..n / 100).map(|i| format!("{i:x}")).collect();
    vec![
        ("storages", ema(&list(&vec![inner_storage(&[]); n / 300]))),
        ("one tensor again and again", again(&one(&[], 0), &b"h\x00".repeat(n / 2))),
        ("one number, far expanded", ema(&one(&[1.], 1 << 40))),
        ("one number, expanded", ema(&[one(&[1.], n as i64), bytes(&vec![0; n]), b"0".to_vec()].concat())),
        ("many extents", {
            let wide = tensor(storage("0", 1), 0, &[1; 64], &[0; 64]);
            torch_zip(&list(&vec![wide; n / 1500]), &[("0", &floats(&[1.]))])
        }),
        ("an old file of many keys", {
            let storages: Vec<_> = keys.iter().map(|key| storage(key, 0)).collect();
            let data: Vec<_> = keys.iter().map(|key| (key.as_str(), &b""[..])).collect();
            torch_legacy(&list(&storages), &data)
        }),
    ]
}

fn others(n: usize) -> Vec<(&'static str, Vec<u8>)> {
    let msgpack = |kind: u8, len: usize, items: Vec<u8>| {
        [&[0x81, 0xa0, kind][..], &(len as u32).to_be_bytes(), &items].concat()
    };
    let keyed = |len: usize, value: &[u8]| {
        let pairs = (0..len).flat_map(|i| [&[0xa5], format!("{i:05x}").as_bytes(), value].concat());
        msgpack(0xdf, len, pairs.collect())
    };
    let no_array = [0xc7, 10, 1, 0x93, 0x91, 0, 0xa4, b'b', b'o', b'o', b'l', 0xc4, 0];
    let safetensors = |header: &str| [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    let tensor = |i| format!(r#""{i:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#);
    let joined =
        |item: &dyn Fn(usize) -> String, len: usize| (0..n / len).map(item).collect::<Vec<_>>().join(",");
    let ones = joined(&|_| "1".to_owned(), 2);
    vec![
        ("msgpack list of nothing", msgpack(0xdd, n, vec![0xc0; n])),
        ("msgpack list of lists", msgpack(0xdd, n, vec![0x90; n])),
        ("msgpack claims of lists", msgpack(0xdd, n, [0xdd, 0, 0, 0, 9].repeat(n))),
        ("msgpack map of nothing", msgpack(0xdf, n / 2, [0xa0, 0xc0].repeat(n / 2))),
        ("msgpack keys", keyed(n / 7, &[0xc0])),
        ("msgpack arrays", keyed(n / 19, &no_array)),
        ("safetensors metadata", {
            let pairs = joined(&|_| r#""":"""#.to_owned(), 6);
            safetensors(&format!(r#"{{"__metadata__":{{{pairs}}}}}"#))
        }),
        ("safetensors tensors", safetensors(&format!("{{{}}}", joined(&tensor, 56)))),
        ("safetensors nesting", safetensors(&format!("{{\"x\":{}1{}}}", "[1,".repeat(100), "]".repeat(100)))),
        ("safetensors numbers", safetensors(&format!(r#"{{"x":[{ones}]}}"#))),
        ("safetensors shape", {
            let tensor = format!(r#"{{"dtype":"U8","shape":[{ones}],"data_offsets":[0,0]}}"#);
            safetensors(&format!(r#"{{"x":{tensor}}}"#))
        }),
    ]
}

fn archives(n: usize) -> Vec<(&'static str, Vec<u8>)> {
    let many = |len: usize, file: &[u8]| {
        let names: Vec<String> = (0..n / len).map(|i| format!("{i:x}.npy")).collect();
        let entries: Vec<_> = names.iter().map(|name| (name.as_str(), file)).collect();
        archive(&entries, CompressionMethod::Stored)
    };
    let npy = npy_of("False", 0, &[]);
    let zeros = |fortran: &str| npy_of(fortran, n, &vec![0; 2 * n]);
    // Incompressible bytes: a quarter of the size of the zeros.
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let noise: Vec<u8> = (0..n / 2).map(|_| random()).collect();
    let noise = npy_of("False", n / 4, &noise[..n / 4 * 2]);
    let claims = b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0";
    vec![
        ("zeros, packed", archive(&[("x.npy", &zeros("False"))], CompressionMethod::Deflated)),
        (
            "zeros, packed, in Fortran's order",
            archive(&[("x.npy", &zeros("True"))], CompressionMethod::Deflated),
        ),
        ("zeros, packed, beside others", {
            let zeros = zeros("True");
            let entries = [("x.npy", zeros.as_slice()), ("y.npy", &zeros), ("z.npy", &noise)];
            archive(&entries, CompressionMethod::Deflated)
        }),
        ("a torch archive of packed zeros", {
            let object = pickle(&one_tensor(n as i64, 0, &[2, n as i64], &[0, 1]));
            let data = vec![0; 4 * n];
            let entries = [("x/data.pkl", object.as_slice()), ("x/data/0", &data), ("x/data/1", &noise)];
            archive(&entries, CompressionMethod::Deflated)
        }),
        ("entries of nothing", many(92, b"")),
        ("empty arrays", many(150, &npy)),
        ("a directory of one place", directory(n, |_| 0)),
        ("a directory of many places", directory(n, |i| i as u32)),
        ("entries claimed", [b"PK\x03\x04".repeat(n / 4).as_slice(), claims].concat()),
    ]
}

/// An npy file of bytes in the shape `[2, n]`.
fn npy_of(fortran: &str, n: usize, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr':'|u1','fortran_order':{fortran},'shape':(2,{n})}}");
    let start = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..]].concat();
    [&start, header.as_bytes(), data].concat()
}

/// An archive that is mostly a directory, with entries at the positions of `place`.
fn directory(n: usize, place: fn(usize) -> u32) -> Vec<u8> {
    let n_entries = (n / 52).min(0xfffe);
    let entry = |i: usize| {
        let name = format!("{i:04x}");
        let mut entry = [0; 46];
        entry[..6].copy_from_slice(b"PK\x01\x02\x14\0");
        entry[28] = name.len() as u8;
        entry[42..].copy_from_slice(&place(i).to_le_bytes());
        [&entry[..], name.as_bytes()].concat()
    };
    // The reader refuses a directory that has more entries than there are bytes before it.
    let start = b"PK\x03\x04".repeat(n_entries / 4 + 1);
    let entries: Vec<u8> = (0..n_entries).flat_map(entry).collect();
    let mut end = [0; 22];
    end[..4].copy_from_slice(b"PK\x05\x06");
    end[8..10].copy_from_slice(&(n_entries as u16).to_le_bytes());
    end[10..12].copy_from_slice(&(n_entries as u16).to_le_bytes());
    end[12..16].copy_from_slice(&(entries.len() as u32).to_le_bytes());
    end[16..20].copy_from_slice(&(start.len() as u32).to_le_bytes());
    [&start[..], &entries, &end].concat()
}
