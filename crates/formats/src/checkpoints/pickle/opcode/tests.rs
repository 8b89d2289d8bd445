//! Opcodes with operands, complete and truncated.

use super::*;

fn one(bytes: &[u8]) -> Result<Op<'_>> {
    let mut stream = Cursor::new(Format::EdmPickle, bytes, 0);
    let (_, op) = next(&mut stream)?;
    stream.finish()?;
    Ok(op)
}

#[test]
fn numbers_of_all_protocols_are_read() {
    for (bytes, op) in [
        (&b"I-12\n"[..], Op::Int(-12)),
        (b"I01\n", Op::Bool(true)),
        (b"I00\n", Op::Bool(false)),
        (b"L7L\n", Op::Int(7)),
        (b"L-7\n", Op::Int(-7)),
        (b"F0.5\n", Op::Float(0.5)),
        (b"K\xff", Op::Int(255)),
        (b"M\x00\x01", Op::Int(256)),
        (b"J\xff\xff\xff\xff", Op::Int(-1)),
        (b"\x8a\x00", Op::Int(0)),
        (b"\x8a\x01\x80", Op::Int(-128)),
        (b"\x8a\x02\x80\x00", Op::Int(128)),
        (b"\x8b\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80", Op::Int(i64::MIN)),
        (b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01", Op::Long(&[0, 0, 0, 0, 0, 0, 0, 0, 1])),
        (b"G\x3f\xf8\x00\x00\x00\x00\x00\x00", Op::Float(1.5)),
    ] {
        assert_eq!(one(bytes).unwrap(), op, "{}", bytes.escape_ascii());
        for cut in 0..bytes.len() {
            assert!(one(&bytes[..cut]).is_err(), "{} cut at {cut}", bytes.escape_ascii());
        }
    }
    for wrong in [&b"I1x\n"[..], b"I\n", b"Lx\n", b"F\n", b"I99999999999999999999\n"] {
        assert!(matches!(one(wrong), Err(Error::Malformed { .. })), "{}", wrong.escape_ascii());
    }
}

#[test]
fn texts_of_all_protocols_are_read() {
    let plain = |text: &'static str| Op::Text(Cow::Borrowed(text));
    let unescaped = |text: &str| Op::Text(Cow::Owned(text.to_owned()));
    for (bytes, op) in [
        (&b"Vplain\n"[..], plain("plain")),
        (b"Va\\u00e9\\x41\\U0001f600\n", unescaped("a\u{e9}A\u{1f600}")),
        (b"V\xe9\n", unescaped("\u{e9}")),
        (b"S'it'\n", plain("it")),
        (b"S\"it\"\n", plain("it")),
        (b"S'a\\'\\\\'\n", unescaped("a'\\")),
        (b"X\x02\x00\x00\x00\xc3\xa9", plain("\u{e9}")),
        (b"\x8c\x01a", plain("a")),
        (b"U\x01a", plain("a")),
        (b"U\x01\xff", Op::Bytes(&[0xff])),
        (b"C\x01\xff", Op::Bytes(&[0xff])),
    ] {
        assert_eq!(one(bytes).unwrap(), op, "{}", bytes.escape_ascii());
    }
    for wrong in
        [&b"S'a\n"[..], b"S'\n", b"Sa\n", b"V\\n\n", b"V\\u12\n", b"V\\ud800\n", b"V\\\n", b"\x8c\x01\xff"]
    {
        assert!(matches!(one(wrong), Err(Error::Malformed { .. })), "{}", wrong.escape_ascii());
    }
}

#[test]
fn a_global_in_plain_text_is_looked_up_as_it_is_decoded() {
    assert_eq!(one(b"ccollections\nOrderedDict\n").unwrap(), Op::Global(Global::OrderedDict));
    let error = one(b"iposix\nsystem\n").unwrap_err();
    assert!(matches!(&error, Error::ForbiddenGlobal { global, offset: 0, .. } if global == "posix.system"));
}
