//! Options found in a file: a tree like JSON's, which can also hold numbers that JSON cannot.

/// A value that is no array: what a network was made with, the count of steps, a note.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating point number, of any kind: infinities and NaN occur (`sigma_max` of EDM's networks).
    Float(f64),
    /// Text; also a whole number too large for [`Value::Int`], in hexadecimal.
    Text(String),
    /// Values in order.
    List(Vec<Value>),
    /// Values with names, in the file's order.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The value of a key of a map; of the last, if the file gives it twice.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(pairs) => pairs.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The whole number this is.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(v) => Some(*v),
            _ => None,
        }
    }

    /// The number this is, whole or not.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Int(v) => Some(*v as f64),
            Self::Float(v) => Some(*v),
            _ => None,
        }
    }

    /// The truth value this is.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(v) => Some(*v),
            _ => None,
        }
    }

    /// The text this is.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(v) => Some(v),
            _ => None,
        }
    }

    /// The list this is.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(v) => Some(v),
            _ => None,
        }
    }
}
