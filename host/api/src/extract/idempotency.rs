//! The `Idempotency-Key` header and the fingerprint of the request it was sent with.
//!
//! Source: draft-ietf-httpapi-idempotency-key-header-07. The header is a structured-field string
//! (RFC 9651); clients in the wild send it bare, so both are read and mean the same key.

use axum::http::HeaderMap;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::problem::{Kind, Problem};

/// Longest key, in characters, quotes not counted.
const MAX_LENGTH: usize = 255;

/// A key as the store has it: without quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(pub String);

impl IdempotencyKey {
    /// None if there is no header.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(malformed("it was sent more than once"));
        }
        let text = value.to_str().map_err(|_| malformed("it has characters outside ASCII"))?.trim();
        let key = match text.strip_prefix('"') {
            Some(rest) => unquote(rest)?,
            None => bare(text)?,
        };
        match key.len() {
            0 => Err(malformed("it is empty")),
            1..=MAX_LENGTH => Ok(Some(Self(key))),
            length => {
                Err(malformed(&format!("it has {length} characters, the limit is {MAX_LENGTH}")))
            }
        }
    }
}

fn malformed(reason: &str) -> Problem {
    Problem::new(Kind::IdempotencyKeyInvalid, format!("Idempotency-Key: {reason}"))
}

/// The rest of a structured-field string after its first quote.
fn unquote(rest: &str) -> Result<String, Problem> {
    let mut key = String::new();
    let mut letters = rest.chars();
    loop {
        match letters.next() {
            Some('"') if letters.as_str().is_empty() => return Ok(key),
            Some('"') => return Err(malformed("something follows the closing quote")),
            Some('\\') => match letters.next() {
                Some(escaped @ ('"' | '\\')) => key.push(escaped),
                _ => return Err(malformed("only `\\\"` and `\\\\` are escapes")),
            },
            Some(letter @ ' '..='~') => key.push(letter),
            Some(_) => return Err(malformed("it has control characters")),
            None => return Err(malformed("the closing quote is missing")),
        }
    }
}

fn bare(text: &str) -> Result<String, Problem> {
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"\",;\\".contains(&b));
    if plain {
        Ok(text.to_owned())
    } else {
        Err(malformed("without quotes, only visible ASCII but `\"`, `,`, `;` and `\\` is taken"))
    }
}

/// SHA-256 of method, path and body. The body counts by its content: neither the order of keys nor
/// white space matters.
pub(crate) fn fingerprint(method: &str, path: &str, body: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [method, path] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(canonical(body));
    hash.finalize().into()
}

/// JSON text with sorted keys and no white space.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut entries: Vec<_> = fields.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(text: &str) -> Result<Option<String>, Kind> {
        let headers =
            [(axum::http::HeaderName::from_static("idempotency-key"), text.parse().unwrap())];
        IdempotencyKey::of(&headers.into_iter().collect())
            .map(|key| key.map(|key| key.0))
            .map_err(|problem| problem.kind())
    }

    #[test]
    fn quoted_and_bare_are_the_same_key() {
        assert_eq!(key("\"8e03978e-40d5\""), Ok(Some("8e03978e-40d5".to_owned())));
        assert_eq!(key("8e03978e-40d5"), Ok(Some("8e03978e-40d5".to_owned())));
        assert_eq!(key(r#""a \"b\" \\ c""#), Ok(Some(r#"a "b" \ c"#.to_owned())));
        assert_eq!(IdempotencyKey::of(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn malformed_keys_are_refused() {
        let long = "a".repeat(256);
        for text in ["\"", "\"a", "\"a\"b", "\"a\";p=1", "a b", "a,b", "\"\"", "\"\\n\"", "", &long]
        {
            assert_eq!(key(text), Err(Kind::IdempotencyKeyInvalid), "{text}");
        }
        assert!(key(&"a".repeat(255)).is_ok());
    }

    #[test]
    fn a_key_that_is_sent_twice_is_refused() {
        let mut headers = HeaderMap::new();
        headers.append("idempotency-key", "a".parse().unwrap());
        headers.append("idempotency-key", "a".parse().unwrap());
        assert!(IdempotencyKey::of(&headers).is_err());
    }

    #[test]
    fn the_fingerprint_is_about_content() {
        let of = |path: &str, body: Value| fingerprint("POST", path, &body);
        let first = of("/a", json!({"x": 1, "y": [{"b": 1, "a": 2}]}));
        assert_eq!(first, of("/a", json!({"y": [{"a": 2, "b": 1}], "x": 1})));
        assert_ne!(first, of("/b", json!({"x": 1, "y": [{"b": 1, "a": 2}]})));
        assert_ne!(first, of("/a", json!({"x": "1", "y": [{"b": 1, "a": 2}]})));
        assert_ne!(of("/a", json!(["a", "b"])), of("/a", json!(["a,b"])));
    }
}
