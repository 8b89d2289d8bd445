//! The opcodes of a pickle, decoded one at a time. Globals in plain text are looked up here, so that a stream that names a
//! forbidden one is refused before any value is created.

use std::borrow::Cow;

use super::global::Global;
use crate::{
    cursor::Cursor,
    error::{Error, Format, Result, escaped, escaped_name},
};

/// A decoded opcode.
#[derive(Debug, PartialEq)]
pub(super) enum Op<'a> {
    None,
    Bool(bool),
    Int(i64),
    Long(&'a [u8]),
    Float(f64),
    /// A text; owned if the file writes it with escapes.
    Text(Cow<'a, str>),
    Bytes(&'a [u8]),
    EmptyList,
    EmptyTuple,
    EmptyDict,
    EmptySet,
    /// A tuple of the top one, two or three values.
    TupleOf(usize),
    /// A tuple of the values above the mark. The next three opcodes take these values too.
    Tuple,
    List,
    Dict,
    FrozenSet,
    Append,
    Appends,
    SetItem,
    SetItems,
    AddItems,
    Mark,
    Pop,
    PopMark,
    Dup,
    Put(u32),
    Memoize,
    Get(u32),
    Global(Global),
    /// A global whose module and name are the top two values.
    StackGlobal,
    /// A call of a global with the values above the mark.
    Inst(Global),
    NewObj,
    Reduce,
    Build,
    PersistentId,
    /// Protocol or frame: nothing to do.
    Nothing,
    Stop,
}

/// The error for a global that is not on the list.
pub(super) fn forbidden(format: Format, offset: u64, module: &str, name: &str) -> Error {
    Error::ForbiddenGlobal { format, offset, global: escaped_name(&format!("{module}.{name}")) }
}

/// The next opcode, and its offset for error messages.
pub(super) fn next<'a>(stream: &mut Cursor<'a>) -> Result<(u64, Op<'a>)> {
    let at = stream.offset();
    let code = stream.byte("the opcode that ends a pickle")?;
    Ok((at, decode(stream, at, code)?))
}

fn decode<'a>(stream: &mut Cursor<'a>, at: u64, code: u8) -> Result<Op<'a>> {
    const OPERAND: &str = "the rest of an opcode";
    let text_len = |n: u64, stream: &mut Cursor<'a>| text(stream, at, n);
    Ok(match code {
        0x80 => {
            let protocol = stream.byte(OPERAND)?;
            if protocol > 5 {
                return Err(stream.malformed(at, "a pickle protocol from 0 to 5", protocol.to_string()));
            }
            Op::Nothing
        }
        0x95 => {
            let len = u64::from_le_bytes(stream.array(OPERAND)?);
            if len > stream.left() as u64 {
                return Err(stream.past_end(len, "a frame"));
            }
            Op::Nothing
        }
        b'.' => Op::Stop,
        b'N' => Op::None,
        0x88 => Op::Bool(true),
        0x89 => Op::Bool(false),
        b'K' => Op::Int(stream.byte(OPERAND)?.into()),
        b'M' => Op::Int(u16::from_le_bytes(stream.array(OPERAND)?).into()),
        b'J' => Op::Int(i32::from_le_bytes(stream.array(OPERAND)?).into()),
        0x8a => {
            let len = stream.byte(OPERAND)?;
            long(stream.claimed(len.into(), "a whole number")?)
        }
        0x8b => {
            let len = u32::from_le_bytes(stream.array(OPERAND)?);
            long(stream.claimed(len.into(), "a whole number")?)
        }
        b'G' => Op::Float(f64::from_be_bytes(stream.array(OPERAND)?)),
        b'I' => match stream.line(OPERAND)? {
            b"00" => Op::Bool(false),
            b"01" => Op::Bool(true),
            digits => Op::Int(number(stream, at, digits)?),
        },
        b'L' => {
            let digits = stream.line(OPERAND)?;
            Op::Int(number(stream, at, digits.strip_suffix(b"L").unwrap_or(digits))?)
        }
        b'F' => {
            let digits = stream.line(OPERAND)?;
            Op::Float(number(stream, at, digits)?)
        }
        0x8c => text_len(stream.byte(OPERAND)?.into(), stream)?,
        b'X' => text_len(u32::from_le_bytes(stream.array(OPERAND)?).into(), stream)?,
        0x8d => text_len(u64::from_le_bytes(stream.array(OPERAND)?), stream)?,
        b'V' | b'S' => quoted(stream, at, code)?,
        b'U' => either(stream.byte(OPERAND)?.into(), stream)?,
        b'T' => either(u32::from_le_bytes(stream.array(OPERAND)?).into(), stream)?,
        b'C' => bytes(stream.byte(OPERAND)?.into(), stream)?,
        b'B' => bytes(u32::from_le_bytes(stream.array(OPERAND)?).into(), stream)?,
        0x8e | 0x96 => bytes(u64::from_le_bytes(stream.array(OPERAND)?), stream)?,
        b']' => Op::EmptyList,
        b')' => Op::EmptyTuple,
        b'}' => Op::EmptyDict,
        0x8f => Op::EmptySet,
        0x85..=0x87 => Op::TupleOf(usize::from(code - 0x84)),
        b't' => Op::Tuple,
        b'l' => Op::List,
        b'd' => Op::Dict,
        0x91 => Op::FrozenSet,
        b'a' => Op::Append,
        b'e' => Op::Appends,
        b's' => Op::SetItem,
        b'u' => Op::SetItems,
        0x90 => Op::AddItems,
        b'(' => Op::Mark,
        b'0' => Op::Pop,
        b'1' => Op::PopMark,
        b'2' => Op::Dup,
        b'q' => Op::Put(stream.byte(OPERAND)?.into()),
        b'r' => Op::Put(u32::from_le_bytes(stream.array(OPERAND)?)),
        b'p' => Op::Put(line_number(stream, at)?),
        0x94 => Op::Memoize,
        b'h' => Op::Get(stream.byte(OPERAND)?.into()),
        b'j' => Op::Get(u32::from_le_bytes(stream.array(OPERAND)?)),
        b'g' => Op::Get(line_number(stream, at)?),
        b'c' => Op::Global(global(stream, at)?),
        b'i' => Op::Inst(global(stream, at)?),
        0x93 => Op::StackGlobal,
        0x81 => Op::NewObj,
        b'R' => Op::Reduce,
        b'b' => Op::Build,
        b'Q' => Op::PersistentId,
        // `OBJ`, the extension registry, text persistent ids, keyword arguments and out-of-band buffers: no program that
        // writes tensors uses them.
        _ => return Err(stream.malformed(at, "an opcode that tensors need", format!("{code:#04x}"))),
    })
}

fn long(bytes: &[u8]) -> Op<'_> {
    if bytes.len() > 8 {
        return Op::Long(bytes);
    }
    let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    let mut word = [fill; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    Op::Int(i64::from_le_bytes(word))
}

fn number<T: std::str::FromStr>(stream: &Cursor<'_>, at: u64, digits: &[u8]) -> Result<T> {
    let parsed = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    parsed.ok_or_else(|| stream.malformed(at, "a number", escaped(digits)))
}

fn line_number(stream: &mut Cursor<'_>, at: u64) -> Result<u32> {
    let digits = stream.line("the rest of an opcode")?;
    number(stream, at, digits)
}

fn text<'a>(stream: &mut Cursor<'a>, at: u64, len: u64) -> Result<Op<'a>> {
    let raw = stream.claimed(len, "a text")?;
    utf8(raw).map(Op::Text).ok_or_else(|| stream.malformed(at, "a text in UTF-8", escaped(raw)))
}

/// A string of Python 2: text if it is UTF-8, else bytes.
fn either<'a>(len: u64, stream: &mut Cursor<'a>) -> Result<Op<'a>> {
    let raw = stream.claimed(len, "a string")?;
    Ok(utf8(raw).map_or(Op::Bytes(raw), Op::Text))
}

fn bytes<'a>(len: u64, stream: &mut Cursor<'a>) -> Result<Op<'a>> {
    stream.claimed(len, "a string of bytes").map(Op::Bytes)
}

/// A line of text: of protocol 0 with escapes (`V`), or of Python 2 in quotes (`S`).
fn quoted<'a>(stream: &mut Cursor<'a>, at: u64, code: u8) -> Result<Op<'a>> {
    let line = stream.line("the end of a line of text")?;
    let raw = match (code, line) {
        (b'S', [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"']) => inner,
        (b'V', line) => line,
        _ => return Err(stream.malformed(at, "a text in quotes", escaped(line))),
    };
    if raw.is_ascii() && !raw.contains(&b'\\') {
        return utf8(raw).map(Op::Text).ok_or_else(|| stream.malformed(at, "a text", escaped(raw)));
    }
    // Latin-1, with \xHH, \uHHHH and \UHHHHHHHH.
    let wrong = || stream.malformed(at, "a text whose escapes are \\\\, \\x, \\u or \\U", escaped(line));
    let n_wide = raw.iter().filter(|b| !b.is_ascii()).count();
    let mut unescaped = String::with_capacity(raw.len() + n_wide);
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            unescaped.push(char::from(*first));
            continue;
        }
        let [kind, tail @ ..] = rest else { return Err(wrong()) };
        let digits = match kind {
            b'\\' | b'\'' | b'"' => {
                unescaped.push(char::from(*kind));
                rest = tail;
                continue;
            }
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => return Err(wrong()),
        };
        let (hex, tail) = tail.split_at_checked(digits).ok_or_else(wrong)?;
        let hex = str::from_utf8(hex).ok().and_then(|hex| u32::from_str_radix(hex, 16).ok());
        unescaped.push(hex.and_then(char::from_u32).ok_or_else(wrong)?);
        rest = tail;
    }
    Ok(Op::Text(unescaped.into()))
}

fn utf8(raw: &[u8]) -> Option<Cow<'_, str>> {
    str::from_utf8(raw).ok().map(Cow::Borrowed)
}

fn global(stream: &mut Cursor<'_>, at: u64) -> Result<Global> {
    const MISSING: &str = "the name of a global";
    let module = String::from_utf8_lossy(stream.line(MISSING)?);
    let name = String::from_utf8_lossy(stream.line(MISSING)?);
    Global::find(&module, &name).ok_or_else(|| forbidden(stream.format, at, &module, &name))
}

#[cfg(test)]
mod tests;
