//! numpy's numbers: a call with a type and bytes.

use super::{Id, Node, Pickle, global::Global};
use crate::value::Value;

/// The number that a call of numpy's `scalar` creates; `None` if options cannot have its type.
pub(super) fn value(pickle: &Pickle<'_>, args: Id) -> Option<Value> {
    let &[dtype, bytes] = pickle.tuple(args)? else { return None };
    let Node::Call { global: Global::NumpyDType, args: dtype, state } = pickle.node(dtype) else {
        return None;
    };
    let name = pickle.text(*pickle.tuple(dtype)?.first()?)?;
    // The state is (version, byte order, ...); without a state the order is little-endian.
    let order = match state {
        Some(state) => pickle.text(*pickle.tuple(state)?.get(1)?)?,
        None => "<",
    };
    let mut bytes = raw(pickle, bytes)?;
    match order {
        "<" | "|" | "=" => {}
        ">" => bytes.reverse(),
        _ => return None,
    }
    let kind = name.get(..1)?;
    if name.get(1..)?.parse() != Ok(bytes.len()) {
        return None;
    }
    let bytes = bytes.as_slice();
    Some(match kind {
        "f" => Value::Float(match bytes.len() {
            2 => half::f16::from_le_bytes(*bytes.as_array()?).to_f64(),
            4 => f32::from_le_bytes(*bytes.as_array()?).into(),
            8 => f64::from_le_bytes(*bytes.as_array()?),
            _ => return None,
        }),
        "b" if bytes.len() == 1 => Value::Bool(bytes[0] != 0),
        "i" | "u" if (1..=8).contains(&bytes.len()) => {
            let negative = kind == "i" && bytes.last().is_some_and(|b| b & 0x80 != 0);
            let mut word = [if negative { 0xff } else { 0 }; 16];
            word[..bytes.len()].copy_from_slice(bytes);
            let wide = i128::from_le_bytes(word);
            i64::try_from(wide).map_or_else(|_| Value::Text(format!("{wide:#x}")), Value::Int)
        }
        _ => return None,
    })
}

/// The bytes of a number, which protocol 2 writes as Latin-1 text.
fn raw(pickle: &Pickle<'_>, id: Id) -> Option<Vec<u8>> {
    const LONGEST: usize = 16;
    if let Some(bytes) = pickle.bytes(id) {
        return (bytes.len() <= LONGEST).then(|| bytes.to_vec());
    }
    let text = match pickle.node(id) {
        Node::Call { global: Global::Encode, args, .. } => match *pickle.tuple(args)? {
            [text, encoding] if pickle.text(encoding)? == "latin1" => pickle.text(text)?,
            _ => return None,
        },
        _ => pickle.text(id)?,
    };
    text.chars().take(LONGEST + 1).map(|c| u8::try_from(c).ok()).collect()
}
