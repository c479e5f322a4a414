//! Times that are typed.

use serde_json::Value;
use tombolo_core::clock::Timestamp;

/// A time in RFC 3339: `2026-11-22T05:10:03Z`.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    serde_json::from_value(Value::from(text))
        .map_err(|_| "expected a time such as 2026-11-22T05:10:03Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::time;
    use tombolo_core::clock::Timestamp;

    #[test]
    fn a_time_is_read_or_shown_how() {
        assert_eq!(time("2023-03-15T13:20:00Z"), Ok(Timestamp(1_678_886_400_000)));
        assert!(time("yesterday").unwrap_err().contains("2026-11-22T05:10:03Z"));
    }
}
