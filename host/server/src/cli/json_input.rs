//! JSON that is typed, read from a file, or piped in.

use std::io::Read;

use anyhow::Context;
use serde_json::Value;
use tombolo_core::json;

use super::Usage;

/// What an option says, as JSON that the server will accept: the text itself, `@file`, or `-` for
/// standard input.
pub(super) fn read(option: &str, text: &str) -> anyhow::Result<Value> {
    let (bytes, place) = match text.strip_prefix('@') {
        Some(path) => {
            (std::fs::read(path).with_context(|| format!("{path} cannot be read"))?, path)
        }
        None if text == "-" => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes)?;
            (bytes, "standard input")
        }
        None => (text.as_bytes().to_vec(), option),
    };
    json::parse(&bytes).map_err(|error| Usage(format!("{place}: {error}")).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::read;

    #[test]
    fn the_input_is_json_or_a_file_of_it() {
        assert_eq!(read("--input", r#"{"a": 1}"#).unwrap(), json!({"a": 1}));
        let error = read("--input", r#"{"a": 1, "a": 2}"#).unwrap_err().to_string();
        assert!(error.starts_with("--input: the key `a` stands twice"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.json");
        std::fs::write(&path, "[1]").unwrap();
        assert_eq!(read("--input", &format!("@{}", path.display())).unwrap(), json!([1]));
        let missing = read("--input", "@/nonexistent/in.json").unwrap_err();
        assert!(missing.to_string().contains("cannot be read"));
    }
}
