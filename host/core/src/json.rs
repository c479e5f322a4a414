//! JSON as it travels: text that is parsed at most once, and a strict reader for what comes in.
//!
//! The reader refuses duplicate keys and deep nesting, because two parsers that disagree about a
//! document are how a check is walked around.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// How deep arrays and objects may nest in anything that Tombolo reads.
pub const MAX_DEPTH: usize = 100;

/// One JSON value as text, parsed when somebody looks inside. Cheap to clone.
#[derive(Clone)]
pub struct Json(Arc<Inner>);

struct Inner {
    text: Box<str>,
    value: OnceLock<Value>,
}

impl Json {
    /// JSON `null`.
    pub fn null() -> Self {
        Self::from_value(Value::Null)
    }

    /// Takes text that is known to be JSON as [`parse`] allows it: checked by the store, written by
    /// [`Json::text`].
    pub fn from_trusted(text: impl Into<Box<str>>) -> Self {
        Self(Arc::new(Inner { text: text.into(), value: OnceLock::new() }))
    }

    /// Writes the value as text.
    pub fn from_value(value: Value) -> Self {
        let text = value.to_string().into_boxed_str();
        let cell = OnceLock::new();
        // A fresh cell takes the value.
        let _ = cell.set(value);
        Self(Arc::new(Inner { text, value: cell }))
    }

    /// Parses strictly, see [`parse`].
    pub fn parse(text: &str) -> Result<Self, InvalidJson> {
        Self::parse_owned(text.to_owned())
    }

    /// As [`Json::parse`], for text that need not be copied.
    pub fn parse_owned(text: String) -> Result<Self, InvalidJson> {
        let value = parse(text.as_bytes())?;
        let cell = OnceLock::new();
        let _ = cell.set(value);
        Ok(Self(Arc::new(Inner { text: text.into_boxed_str(), value: cell })))
    }

    /// Takes text from outside this process's memory, and checks only that it is JSON of a depth
    /// that can be read: it was written by [`Json::text`].
    pub fn from_stored(text: String) -> Result<Self, InvalidJson> {
        serde_json::from_str::<de::IgnoredAny>(&text).map_err(|error| explain(&error))?;
        Ok(Self::from_trusted(text))
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The value; parsed on the first look.
    pub fn value(&self) -> &Value {
        self.0.value.get_or_init(|| serde_json::from_str(&self.0.text).unwrap_or(Value::Null))
    }

    /// True for `null`.
    pub fn is_null(&self) -> bool {
        self.text() == "null"
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text() || self.value() == other.value()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Default for Json {
    fn default() -> Self {
        Self::null()
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self::from_value(value)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from_value)
    }
}

/// Why bytes are not acceptable JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJson {
    /// Not UTF-8.
    #[error("not UTF-8: the first bad byte is at offset {offset}")]
    NotUtf8 {
        /// Offset in bytes.
        offset: usize,
    },
    /// Not JSON.
    #[error("not JSON: {message} at line {line}, column {column}")]
    Syntax {
        /// What the parser missed.
        message: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// A key stands twice in one object.
    #[error("the key `{key}` stands twice in one object, at line {line}, column {column}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

impl InvalidJson {
    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8 { .. } => "not-utf8",
            Self::Syntax { .. } => "not-json",
            Self::DuplicateKey { .. } => "duplicate-key",
            Self::TooDeep => "json-too-deep",
        }
    }
}

/// Marks the two refusals of [`Strict`] inside `serde_json`'s error, which carries only text.
const DUPLICATE: &str = "\u{1}duplicate:";
const DEEP: &str = "\u{1}deep";

/// Parses exactly one JSON value: UTF-8, no duplicate keys, at most [`MAX_DEPTH`] levels.
pub fn parse(bytes: &[u8]) -> Result<Value, InvalidJson> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| InvalidJson::NotUtf8 { offset: error.valid_up_to() })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    Strict { depth: 0 }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| explain(&error))
}

fn explain(error: &serde_json::Error) -> InvalidJson {
    let (line, column) = (error.line(), error.column());
    let full = error.to_string();
    let message = full.split(" at line ").next().unwrap_or_default();
    if let Some(key) = message.strip_prefix(DUPLICATE) {
        return InvalidJson::DuplicateKey { key: key.to_owned(), line, column };
    }
    if message == DEEP {
        return InvalidJson::TooDeep;
    }
    InvalidJson::Syntax { message: message.to_owned(), line, column }
}

/// Reads a [`Value`] and refuses what [`parse`] refuses.
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: de::Error>(&self) -> Result<usize, E> {
        if self.depth == MAX_DEPTH { Err(E::custom(DEEP)) } else { Ok(self.depth + 1) }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Strict { depth })? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut object = serde_json::Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(de::Error::custom(format!("{DUPLICATE}{key}")));
            }
            let value = entries.next_value_seed(Strict { depth })?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// How deep the arrays and objects of JSON text nest, without looking at anything else.
pub fn levels(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// What is left for a value that is being put together.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    bytes: usize,
}

/// Why a value does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMuch {
    /// It takes more bytes than are left.
    Large,
    /// It nests deeper than [`MAX_DEPTH`].
    Deep,
}

impl Budget {
    /// Room for so many bytes of JSON text.
    pub fn new(bytes: usize) -> Self {
        Self { bytes }
    }

    /// Takes the room of `value`, which is to stand `depth` levels deep. Looks at no more of it
    /// than there is room for. Escapes are not counted.
    pub fn take(&mut self, value: &Value, depth: usize) -> Result<(), TooMuch> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => self.take_bytes(5),
            Value::String(text) => self.take_bytes(text.len() + 3),
            Value::Array(_) | Value::Object(_) if depth >= MAX_DEPTH => Err(TooMuch::Deep),
            Value::Array(items) => {
                self.take_bytes(2)?;
                items.iter().try_for_each(|item| self.take(item, depth + 1))
            }
            Value::Object(fields) => {
                self.take_bytes(2)?;
                fields.iter().try_for_each(|(name, field)| {
                    self.take_bytes(name.len() + 3)?;
                    self.take(field, depth + 1)
                })
            }
        }
    }

    fn take_bytes(&mut self, bytes: usize) -> Result<(), TooMuch> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(TooMuch::Large)?;
        Ok(())
    }
}

/// Appends `token` to a JSON pointer (RFC 6901), escaped.
pub fn push_pointer(pointer: &str, token: &str) -> String {
    format!("{pointer}/{}", token.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ordinary_json_and_keeps_the_order_of_keys() {
        let value = parse(br#"{"b":1,"a":[true,null,"x",1.5,-2]}"#).unwrap();
        assert_eq!(value.to_string(), r#"{"b":1,"a":[true,null,"x",1.5,-2]}"#);
    }

    #[test]
    fn refuses_a_key_that_stands_twice_at_any_depth() {
        let error = parse(br#"{"a":[{"k":1,"k":2}]}"#).unwrap_err();
        assert!(
            matches!(&error, InvalidJson::DuplicateKey { key, line: 1, .. } if key == "k"),
            "{error}"
        );
    }

    #[test]
    fn refuses_ten_thousand_levels_without_a_stack_overflow() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        assert_eq!(parse(deep.as_bytes()), Err(InvalidJson::TooDeep));
        let allowed = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        assert!(parse(allowed.as_bytes()).is_ok());
    }

    #[test]
    fn says_where_the_text_stops_being_json() {
        assert_eq!(parse(b"\xff").unwrap_err(), InvalidJson::NotUtf8 { offset: 0 });
        let error = parse(b"{\"a\": }").unwrap_err();
        assert!(matches!(error, InvalidJson::Syntax { line: 1, column: 7, .. }), "{error:?}");
        assert!(parse(b"1 2").is_err(), "one value, not two");
    }

    #[test]
    fn a_budget_knows_what_fits() {
        let value = parse(br#"{"key":["text",1]}"#).unwrap();
        assert_eq!(Budget::new(30).take(&value, 0), Ok(()));
        assert_eq!(Budget::new(10).take(&value, 0), Err(TooMuch::Large));
        assert_eq!(Budget::new(30).take(&value, MAX_DEPTH - 1), Err(TooMuch::Deep));
        let mut budget = Budget::new(30);
        assert_eq!(budget.take(&value, 0), Ok(()));
        assert_eq!(budget.take(&value, 0), Err(TooMuch::Large), "once, not twice");
    }

    #[test]
    fn levels_are_brackets_outside_strings() {
        assert_eq!(levels(r#"{"a[[[":[1,"\"[["]}"#), 2);
        assert_eq!(levels("1"), 0);
        let deep = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        assert_eq!(levels(&deep), MAX_DEPTH);
    }

    #[test]
    fn text_is_kept_as_it_came() {
        let json = Json::parse("{\"a\": 1.0}").unwrap();
        assert_eq!(json.text(), "{\"a\": 1.0}");
        assert_eq!(json.value()["a"], 1.0);
    }
}
