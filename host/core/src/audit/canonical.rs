//! Canonical JSON (RFC 8785), behind a guard: what two implementations could write differently is
//! refused before it is hashed.
//!
//! RFC 8785 writes numbers as ECMAScript does, and silently rounds integers beyond 2^53: two values
//! would have one hash. So only whole numbers up to there stand as numbers; [`recordable`] makes
//! strings of all others, which keeps their digits.

use serde_json::{Number, Value};

/// The largest number that is recorded as one: 2^53 - 1 (RFC 8785, section 3.2.2.3).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// A value that has no canonical form here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCanonical {
    /// A number that is not whole, or too large.
    #[error("{0} is no whole number of at most 2^53 - 1, and has to stand as a string")]
    Number(String),
    /// What the writer says.
    #[error("no canonical JSON: {0}")]
    Other(String),
}

/// The one form of a value, as UTF-8: keys in order, no space, numbers whole and safe.
pub fn canonical(value: &Value) -> Result<Vec<u8>, NotCanonical> {
    guard(value)?;
    serde_json_canonicalizer::to_vec(value).map_err(|error| NotCanonical::Other(error.to_string()))
}

fn guard(value: &Value) -> Result<(), NotCanonical> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(number) if is_safe(number) => Ok(()),
        Value::Number(number) => Err(NotCanonical::Number(number.to_string())),
        Value::Array(values) => values.iter().try_for_each(guard),
        Value::Object(members) => members.values().try_for_each(guard),
    }
}

/// The same value with strings in place of the numbers that [`canonical`] refuses.
pub fn recordable(value: Value) -> Value {
    match value {
        Value::Number(number) => match whole(&number) {
            Some(whole) => whole.into(),
            None => Value::String(number.to_string()),
        },
        Value::Array(values) => values.into_iter().map(recordable).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, recordable(value))).collect()
        }
        other => other,
    }
}

/// Whole as it is stored, not only by value: `1.0` is not.
fn is_safe(number: &Number) -> bool {
    let whole = number.as_i64().is_some_and(|whole| whole.unsigned_abs() <= MAX_SAFE_INTEGER);
    whole && !number.is_f64()
}

/// The number, if it is whole by its value and safe.
fn whole(number: &Number) -> Option<i64> {
    if is_safe(number) {
        return number.as_i64();
    }
    let float = number.as_f64().filter(|_| number.is_f64())?;
    #[expect(clippy::cast_precision_loss, reason = "2^53 - 1 has an exact double")]
    let safe = float.fract() == 0.0 && float.abs() <= MAX_SAFE_INTEGER as f64;
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^53")]
    safe.then_some(float as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text(value: &Value) -> String {
        String::from_utf8(canonical(value).unwrap()).unwrap()
    }

    #[test]
    fn keys_are_in_the_order_of_utf_16_and_strings_as_short_as_they_can_be() {
        // RFC 8785, section 3.2.3.
        let keys = json!({
            "\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7,
        });
        let expected = "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\
                        \"\u{fb33}\":3}";
        assert_eq!(text(&keys), expected);
        let strings = json!(["\u{20ac}$\u{f}\nA'B\"\\\\\"/", true, null, -7]);
        assert_eq!(text(&strings), "[\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\",true,null,-7]");
    }

    #[test]
    fn numbers_that_could_be_rounded_are_refused() {
        let safe = MAX_SAFE_INTEGER.cast_signed();
        assert_eq!(text(&json!([safe, -safe])), "[9007199254740991,-9007199254740991]");
        for wrong in [
            json!(9_007_199_254_740_993_u64),
            json!({ "a": [safe + 1] }),
            json!(-safe - 1),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(0.1),
            json!(1.0),
            json!(1e300),
        ] {
            assert!(matches!(canonical(&wrong), Err(NotCanonical::Number(_))), "{wrong}");
        }
    }

    #[test]
    fn what_is_refused_is_recorded_with_all_its_digits() {
        let given = json!({"a": 9_007_199_254_740_993_u64, "b": [10.5, 3.0, 7], "c": i64::MIN});
        let expected = json!({
            "a": "9007199254740993", "b": ["10.5", 3, 7], "c": "-9223372036854775808",
        });
        assert_eq!(recordable(given), expected);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec(("\\PC{0,4}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_recordable_reads_back_to_the_same_bytes(value in any_json()) {
            let bytes = canonical(&recordable(value)).unwrap();
            let read = crate::json::parse(&bytes).unwrap();
            prop_assert_eq!(canonical(&read).unwrap(), bytes);
        }
    }
}
