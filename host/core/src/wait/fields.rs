//! Reading of the parameters: an object's keys, and values of the types that they take.

use std::time::Duration;

use serde_json::{Map, Value};

use super::error::{WaitError, WaitFault};
use crate::json::push_pointer;
use crate::workflow::Span;

/// Most characters of a wrong value that an error repeats.
const MAX_SHOWN: usize = 64;

/// An object whose keys are all known, and its place.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    pointer: String,
}

impl<'a> Fields<'a> {
    /// Takes an object that has no other keys than these.
    pub(super) fn read(value: &'a Value, pointer: &str, known: &[&str]) -> Result<Self, WaitError> {
        let map = object(value, pointer)?;
        match map.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(Self { map, pointer: pointer.to_owned() }),
            Some(key) => {
                let message = format!(
                    "`{}` is not known here: write one of `{}`",
                    shown(key),
                    known.join("`, `")
                );
                Err(WaitError::new(WaitFault::UnknownKey, push_pointer(pointer, key), message))
            }
        }
    }

    /// The place of a key.
    pub(super) fn at(&self, key: &str) -> String {
        push_pointer(&self.pointer, key)
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key)
    }

    /// The value of a key that has to be there; `example` is what it could be.
    pub(super) fn required(&self, key: &str, example: &str) -> Result<&'a Value, WaitError> {
        self.get(key).ok_or_else(|| {
            let message = format!("`{key}` is missing: write `\"{key}\": {example}`");
            WaitError::new(WaitFault::MissingKey, self.pointer.as_str(), message)
        })
    }

    /// The length of time of a key; zero if it is absent.
    pub(super) fn duration(&self, key: &str) -> Result<Duration, WaitError> {
        let Some(value) = self.get(key) else {
            return Ok(Duration::ZERO);
        };
        let text = text(value, &self.at(key), "2h")?;
        match text.parse::<Span>() {
            Ok(span) => Ok(span.0),
            Err(_) => {
                let message = format!(
                    "`{}` is not a length of time of at most 366d: write a whole number and one \
                     of ms, s, m, h, d, such as `2h`",
                    shown(text)
                );
                Err(WaitError::new(WaitFault::InvalidDuration, self.at(key), message))
            }
        }
    }
}

/// An object's members.
pub(super) fn object<'a>(
    value: &'a Value,
    pointer: &str,
) -> Result<&'a Map<String, Value>, WaitError> {
    value.as_object().ok_or_else(|| wrong_type(value, pointer, "an object"))
}

/// A list's items.
pub(super) fn list<'a>(
    value: &'a Value,
    pointer: &str,
    example: &str,
) -> Result<&'a [Value], WaitError> {
    let items = value.as_array().map(Vec::as_slice);
    items.ok_or_else(|| wrong_type(value, pointer, &format!("a list such as `[\"{example}\"]`")))
}

/// A text.
pub(super) fn text<'a>(
    value: &'a Value,
    pointer: &str,
    example: &str,
) -> Result<&'a str, WaitError> {
    value.as_str().ok_or_else(|| wrong_type(value, pointer, &format!("a text such as `{example}`")))
}

/// A value of another type than the one `wanted`.
pub(super) fn wrong_type(value: &Value, pointer: &str, wanted: &str) -> WaitError {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    WaitError::new(WaitFault::WrongType, pointer, format!("this is {found}: write {wanted}"))
}

/// The beginning of what was written.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}..", &text[..end]),
    }
}
