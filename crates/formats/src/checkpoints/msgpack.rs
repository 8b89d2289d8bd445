//! msgpack, decoded one token at a time without building values. `rmpv` would build a tree of 40 bytes per value before
//! anything could be checked. Here texts and bytes stay in the file, and a container only gives the number of values that
//! follow.

use crate::{
    cursor::Cursor,
    error::{Result, escaped},
};

/// One token of a msgpack stream.
#[derive(Debug, PartialEq)]
pub(crate) enum Token<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    /// A whole number of more than 63 bits.
    Large(u64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Number of values that follow.
    Array(usize),
    /// Number of key-value pairs that follow.
    Map(usize),
    Ext(i8, &'a [u8]),
}

/// The next token. A container that claims more values than there are bytes left is an error.
pub(crate) fn next<'a>(stream: &mut Cursor<'a>) -> Result<Token<'a>> {
    const MISSING: &str = "the next value";
    let at = stream.offset();
    let code = stream.byte(MISSING)?;
    let len = match code {
        0x80..=0x9f => u64::from(code & 15),
        0xa0..=0xbf => u64::from(code & 31),
        0xd4..=0xd8 => 1 << (code - 0xd4),
        0xc4 | 0xc7 | 0xd9 => u8::from_be_bytes(stream.array(MISSING)?).into(),
        0xc5 | 0xc8 | 0xda | 0xdc | 0xde => u16::from_be_bytes(stream.array(MISSING)?).into(),
        0xc6 | 0xc9 | 0xdb | 0xdd | 0xdf => u32::from_be_bytes(stream.array(MISSING)?).into(),
        _ => 0,
    };
    Ok(match code {
        0x00..=0x7f => Token::Int(code.into()),
        0xe0..=0xff => Token::Int((code as i8).into()),
        0x80..=0x8f | 0xde | 0xdf => map(stream, len)?,
        0x90..=0x9f | 0xdc | 0xdd => array(stream, len)?,
        0xa0..=0xbf | 0xd9..=0xdb => text(stream, at, len)?,
        0xc4..=0xc6 => bytes(stream, len)?,
        0xc7..=0xc9 | 0xd4..=0xd8 => ext(stream, len)?,
        0xc0 => Token::Nil,
        0xc2 => Token::Bool(false),
        0xc3 => Token::Bool(true),
        0xca => Token::Float(f32::from_be_bytes(stream.array(MISSING)?).into()),
        0xcb => Token::Float(f64::from_be_bytes(stream.array(MISSING)?)),
        0xcc => Token::Int(stream.byte(MISSING)?.into()),
        0xcd => Token::Int(u16::from_be_bytes(stream.array(MISSING)?).into()),
        0xce => Token::Int(u32::from_be_bytes(stream.array(MISSING)?).into()),
        0xcf => {
            let wide = u64::from_be_bytes(stream.array(MISSING)?);
            i64::try_from(wide).map_or(Token::Large(wide), Token::Int)
        }
        0xd0 => Token::Int(i8::from_be_bytes(stream.array(MISSING)?).into()),
        0xd1 => Token::Int(i16::from_be_bytes(stream.array(MISSING)?).into()),
        0xd2 => Token::Int(i32::from_be_bytes(stream.array(MISSING)?).into()),
        0xd3 => Token::Int(i64::from_be_bytes(stream.array(MISSING)?)),
        0xc1 => return Err(stream.malformed(at, "a msgpack value", "0xc1")),
    })
}

fn array<'a>(stream: &mut Cursor<'a>, n: u64) -> Result<Token<'a>> {
    if n > stream.left() as u64 {
        return Err(stream.past_end(n, "an array of values"));
    }
    Ok(Token::Array(n as usize))
}

fn map<'a>(stream: &mut Cursor<'a>, n: u64) -> Result<Token<'a>> {
    if 2 * n > stream.left() as u64 {
        return Err(stream.past_end(2 * n, "a map"));
    }
    Ok(Token::Map(n as usize))
}

fn text<'a>(stream: &mut Cursor<'a>, at: u64, len: u64) -> Result<Token<'a>> {
    let raw = stream.claimed(len, "a text")?;
    str::from_utf8(raw).map(Token::Text).map_err(|_| stream.malformed(at, "a text in UTF-8", escaped(raw)))
}

fn bytes<'a>(stream: &mut Cursor<'a>, len: u64) -> Result<Token<'a>> {
    stream.claimed(len, "a string of bytes").map(Token::Bytes)
}

fn ext<'a>(stream: &mut Cursor<'a>, len: u64) -> Result<Token<'a>> {
    let kind = stream.byte("the kind of an extension")? as i8;
    stream.claimed(len, "an extension").map(|data| Token::Ext(kind, data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Format};

    fn one(bytes: &[u8]) -> Result<Token<'_>> {
        let mut stream = Cursor::new(Format::FlaxMsgpack, bytes, 0);
        let token = next(&mut stream)?;
        stream.finish()?;
        Ok(token)
    }

    #[test]
    fn every_code_is_read() {
        for (bytes, token) in [
            (&[0x7f][..], Token::Int(127)),
            (&[0xff], Token::Int(-1)),
            (&[0x80], Token::Map(0)),
            (&[0x90], Token::Array(0)),
            (&[0xa2, b'h', b'i'], Token::Text("hi")),
            (&[0xc0], Token::Nil),
            (&[0xc2], Token::Bool(false)),
            (&[0xc3], Token::Bool(true)),
            (&[0xc4, 1, 9], Token::Bytes(&[9])),
            (&[0xc5, 0, 1, 9], Token::Bytes(&[9])),
            (&[0xc6, 0, 0, 0, 1, 9], Token::Bytes(&[9])),
            (&[0xc7, 1, 5, 9], Token::Ext(5, &[9])),
            (&[0xc8, 0, 1, 0xfb, 9], Token::Ext(-5, &[9])),
            (&[0xc9, 0, 0, 0, 0, 1], Token::Ext(1, &[])),
            (&[0xca, 0x3f, 0xc0, 0, 0], Token::Float(1.5)),
            (&[0xcb, 0xbf, 0xf8, 0, 0, 0, 0, 0, 0], Token::Float(-1.5)),
            (&[0xcc, 200], Token::Int(200)),
            (&[0xcd, 1, 0], Token::Int(256)),
            (&[0xce, 0xff, 0xff, 0xff, 0xff], Token::Int(u32::MAX.into())),
            (&[0xcf, 0, 0, 0, 0, 0, 0, 0, 7], Token::Int(7)),
            (&[0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0], Token::Large(1 << 63)),
            (&[0xd0, 0x80], Token::Int(-128)),
            (&[0xd1, 0xff, 0xfe], Token::Int(-2)),
            (&[0xd2, 0xff, 0xff, 0xff, 0xfe], Token::Int(-2)),
            (&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], Token::Int(i64::MIN)),
            (&[0xd5, 3, 1, 2], Token::Ext(3, &[1, 2])),
            (&[0xd9, 1, b'x'], Token::Text("x")),
            (&[0xda, 0, 1, b'x'], Token::Text("x")),
            (&[0xdb, 0, 0, 0, 1, b'x'], Token::Text("x")),
            (&[0xdc, 0, 0], Token::Array(0)),
            (&[0xdd, 0, 0, 0, 0], Token::Array(0)),
            (&[0xde, 0, 0], Token::Map(0)),
            (&[0xdf, 0, 0, 0, 0], Token::Map(0)),
        ] {
            assert_eq!(one(bytes).unwrap(), token);
            for cut in 0..bytes.len() {
                assert!(one(&bytes[..cut]).is_err(), "{bytes:x?} cut at {cut}");
            }
        }
        assert!(one(&[0xc1]).is_err());
        assert!(matches!(one(&[0xa1, 0xff]), Err(Error::Malformed { offset: 0, .. })));
    }

    #[test]
    fn a_container_cannot_claim_more_values_than_bytes() {
        for bytes in [&[0xdd, 0xff, 0xff, 0xff, 0xff, 0][..], &[0xdf, 0, 0, 0, 1, 0], &[0x92, 0], &[0x81, 0]]
        {
            assert!(matches!(one(bytes), Err(Error::PastEnd { .. })), "{bytes:x?}");
        }
    }
}
