//! What an entry may say, bounded: the record is kept for ever.

use serde_json::{Value, json};

use super::canonical::recordable;
use crate::id::ContentHash;

/// Largest detail of an entry; bytes of JSON.
pub(super) const MAX_DETAIL_BYTES: usize = 64 * 1024;

/// In a detail that is larger, a member of more bytes than this is named by its hash.
const MAX_MEMBER_BYTES: usize = 1024;

/// The detail as it is recorded: numbers are safe, and what is too long is named by the SHA-256 of
/// its JSON in place of it, first the long members, then all.
pub(super) fn recorded(detail: Value) -> Value {
    let detail = recordable(detail);
    if is_short(&detail, MAX_DETAIL_BYTES) {
        return detail;
    }
    let shortened = match detail {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let short = is_short(&value, MAX_MEMBER_BYTES);
                (name, if short { value } else { named(&value) })
            })
            .collect(),
        other => other,
    };
    if is_short(&shortened, MAX_DETAIL_BYTES) { shortened } else { named(&shortened) }
}

fn is_short(value: &Value, most: usize) -> bool {
    value.to_string().len() <= most
}

fn named(value: &Value) -> Value {
    let text = value.to_string();
    json!({ "sha256": ContentHash::of(text.as_bytes()), "bytes": text.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_stays_and_what_is_long_is_named() {
        let short = json!({"reason": "x".repeat(2 * MAX_MEMBER_BYTES), "n": 1});
        assert_eq!(recorded(short.clone()), short);

        let long = json!("x".repeat(MAX_DETAIL_BYTES));
        let hash = ContentHash::of(long.to_string().as_bytes()).to_string();
        let expected = json!({"sha256": hash, "bytes": MAX_DETAIL_BYTES + 2});
        let given = json!({"reason": "mended", "output": long.clone()});
        assert_eq!(recorded(given), json!({"reason": "mended", "output": expected}));
        assert_eq!(recorded(long), expected);

        let many = (0..MAX_DETAIL_BYTES).map(|n| (n.to_string(), Value::Null)).collect();
        assert!(is_short(&recorded(Value::Object(many)), MAX_MEMBER_BYTES));
    }
}
