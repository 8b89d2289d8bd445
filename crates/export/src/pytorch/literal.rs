//! Values as Python writes them.

use std::fmt::Write as _;

use serde_json::Value;

/// Lines of Python are at most this long, where a value can be broken.
const WIDTH: usize = 100;

/// The value as a Python literal that begins at column `column`; what does not fit a line is broken and indented.
pub(super) fn literal(value: &Value, column: usize) -> String {
    let flat = flat(value);
    if column + flat.len() <= WIDTH {
        return flat;
    }
    broken(value, 0).unwrap_or(flat)
}

fn flat(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        // The shortest text of a number that reads as the same f64, in both languages.
        Value::Number(n) => n.to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::Array(all) => format!("[{}]", all.iter().map(flat).collect::<Vec<_>>().join(", ")),
        Value::Object(all) => {
            let entries = all.iter().map(|(key, value)| format!("{key:?}: {}", flat(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// One entry per line, `indent` deep; `None` for what has no entries.
fn broken(value: &Value, indent: usize) -> Option<String> {
    let inner = indent + 4;
    let entry = |key: &str, value: &Value| {
        let flat = flat(value);
        let fits = inner + key.len() + flat.len() < WIDTH;
        let text = if fits { flat } else { broken(value, inner).unwrap_or(flat) };
        format!("{:inner$}{key}{text},\n", "")
    };
    let mut text = String::new();
    // Writing to a text cannot fail.
    match value {
        Value::Array(all) => {
            text += "[\n";
            all.iter().for_each(|value| text += &entry("", value));
            let _ = write!(text, "{:indent$}]", "");
        }
        Value::Object(all) => {
            text += "{\n";
            all.iter().for_each(|(key, value)| text += &entry(&format!("{key:?}: "), value));
            let _ = write!(text, "{:indent$}}}", "");
        }
        _ => return None,
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_as_python_reads_them() {
        let value = json!({ "a": [1, 0.1, true, null], "b": "x\"y" });
        assert_eq!(literal(&value, 0), r#"{"a": [1, 0.1, True, None], "b": "x\"y"}"#);
        let long = "y".repeat(60);
        let value = json!([{ "a": long, "b": [1, 2] }, { "a": long, "b": long }]);
        let text = literal(&value, 9);
        assert!(text.starts_with("[\n    {\"a\": \"y") && text.ends_with("},\n]"), "{text}");
        assert!(text.contains("\n        \"b\": \"y") && text.lines().all(|line| line.len() <= WIDTH));
    }
}
