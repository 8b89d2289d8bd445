//! Options in a file: a tree like JSON, which can also hold numbers that JSON cannot.

/// A value that is not an array: an argument of a network's constructor, a number of steps, a note.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating point number; may be infinite (`sigma_max` of EDM's networks) or NaN.
    Float(f64),
    /// Text; also a whole number too large for [`Value::Int`], in hexadecimal.
    Text(String),
    /// Values in order.
    List(Vec<Value>),
    /// Values with names, in the file's order.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The value of a key in a map. If a key occurs twice, the last one counts.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(pairs) => pairs.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The whole number, if the value is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(v) => Some(*v),
            _ => None,
        }
    }

    /// The number as f64, if the value is a whole or floating point number.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Int(v) => Some(*v as f64),
            Self::Float(v) => Some(*v),
            _ => None,
        }
    }

    /// The truth value, if the value is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(v) => Some(*v),
            _ => None,
        }
    }

    /// The text, if the value is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(v) => Some(v),
            _ => None,
        }
    }

    /// The list, if the value is one.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(v) => Some(v),
            _ => None,
        }
    }
}
