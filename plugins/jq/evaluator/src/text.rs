//! JSON text in and out. jaq's values are a superset of JSON; what has no JSON form is refused, and
//! what jq itself writes differently is written as jq does.

use std::fmt::Write as _;

use jaq_json::{Num, Val};

/// Integers up to here are exact as 64-bit floating-point numbers.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Why a value cannot be written, or a text not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotJson {
    /// The text is no JSON.
    #[error("the input is no JSON: {0}")]
    Text(String),
    /// `tobytes`.
    #[error("the result has a byte string, which has no JSON form; use `@base64`")]
    Bytes,
    /// `{(1): 2}`.
    #[error("the result has an object key that is no text: {0}; use `tostring`")]
    Key(String),
}

/// Reads exactly one JSON value.
pub fn read(text: &[u8]) -> Result<Val, NotJson> {
    jaq_json::read::parse_single(text).map_err(|error| NotJson::Text(error.to_string()))
}

/// Writes compact, strict JSON.
pub fn write(value: &Val) -> Result<String, NotJson> {
    let mut text = String::new();
    append(&mut text, value)?;
    Ok(text)
}

/// Writes compact, strict JSON behind what `text` already holds.
pub fn append(text: &mut String, value: &Val) -> Result<(), NotJson> {
    match value {
        Val::Null => text.push_str("null"),
        Val::Bool(true) => text.push_str("true"),
        Val::Bool(false) => text.push_str("false"),
        Val::Num(number) => append_number(text, number),
        Val::TStr(bytes) => append_string(text, &String::from_utf8_lossy(bytes)),
        Val::BStr(_) => return Err(NotJson::Bytes),
        Val::Arr(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                append(text, item)?;
            }
            text.push(']');
        }
        Val::Obj(entries) => {
            text.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                let Val::TStr(key) = key else {
                    return Err(NotJson::Key(crate::shorten(&key.to_string())));
                };
                append_string(text, &String::from_utf8_lossy(key));
                text.push(':');
                append(text, item)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

fn append_number(text: &mut String, number: &Num) {
    match number {
        Num::Int(integer) => append_display(text, integer),
        Num::BigInt(integer) => append_display(text, integer),
        Num::Float(float) => append_float(text, *float),
        Num::Dec(digits) if is_json_number(digits) => text.push_str(digits),
        Num::Dec(digits) => append_float(text, digits.parse().unwrap_or(f64::NAN)),
    }
}

/// As jq 1.7 does: no fraction where there is none, null for NaN, the largest number for infinity.
fn append_float(text: &mut String, float: f64) {
    if float.is_nan() {
        text.push_str("null");
    } else if float.fract() == 0.0 && float.abs() <= MAX_EXACT {
        append_display(text, &(float as i64));
    } else {
        append_display(text, &format_args!("{:?}", float.clamp(f64::MIN, f64::MAX)));
    }
}

fn append_display(text: &mut String, value: &impl std::fmt::Display) {
    // Writing to a String never fails.
    let _ = write!(text, "{value}");
}

fn append_string(text: &mut String, string: &str) {
    text.push('"');
    let mut rest = string;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        text.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            control => append_display(text, &format_args!("\\u{control:04x}")),
        }
        rest = &rest[at + 1..];
    }
    text.push_str(rest);
    text.push('"');
}

/// RFC 8259, section 6; jaq also reads `+1.0`, `01.5` and the like through `fromjson`.
fn is_json_number(digits: &str) -> bool {
    let unsigned = digits.strip_prefix('-').unwrap_or(digits).as_bytes();
    let mut rest = match unsigned {
        [b'0', rest @ ..] => rest,
        [b'1'..=b'9', rest @ ..] => skip_digits(rest),
        _ => return false,
    };
    if let [b'.', fraction @ ..] = rest {
        rest = skip_digits(fraction);
        if rest.len() == fraction.len() {
            return false;
        }
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            digits => digits,
        };
        rest = skip_digits(exponent);
        if rest.len() == exponent.len() {
            return false;
        }
    }
    rest.is_empty()
}

fn skip_digits(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    &bytes[end..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program;

    fn value(text: &str) -> Result<String, NotJson> {
        let value = program(text).expect("compiles").one(Val::Null);
        write(&value.expect("has a value"))
    }

    #[test]
    fn json_stays_as_it_was() {
        let text = r#"{"b":[1,-2.50,1e400,123456789012345678901234567890,"ä\n\"\\\u0001"],"a":{}}"#;
        let read = read(text.as_bytes()).expect("is JSON");
        assert_eq!(write(&read).as_deref(), Ok(text));
    }

    #[test]
    fn numbers_are_written_as_jq_does() {
        let table = [
            ("6 / 2", "3"),
            ("1 / 4", "0.25"),
            ("0 / 0", "null"),
            ("infinite", "1.7976931348623157e308"),
            ("-infinite", "-1.7976931348623157e308"),
            ("1e300 * 10", "1e301"),
            ("4294967296 * 2", "8589934592"),
            (r#""01.5" | fromjson"#, "1.5"),
        ];
        for (text, expected) in table {
            assert_eq!(value(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_has_no_json_form_is_refused() {
        assert_eq!(value(r#""a" | tobytes"#), Err(NotJson::Bytes));
        assert_eq!(value("{(1): 2}"), Err(NotJson::Key("1".to_owned())));
    }

    #[test]
    fn text_that_is_no_json_is_refused() {
        assert!(matches!(read(b"{\"a\":"), Err(NotJson::Text(_))));
        assert!(matches!(read(b"1 2"), Err(NotJson::Text(_))));
    }
}
