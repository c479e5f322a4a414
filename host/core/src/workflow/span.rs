//! Lengths of time as people write them: `500ms`, `30s`, `10m`, `1h`, `2d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest length of time that can be written: a year.
pub const MAX_SPAN: Duration = Duration::from_secs(366 * 24 * 3600);

/// A length of time, written as a whole number and a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// Text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a length of time of at most 366d; write a whole number and one of ms, s, m, h, d, such as `30s`"
)]
pub struct InvalidSpan(pub String);

/// Units in milliseconds, the longest suffix first where one ends in the other.
const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        UNITS
            .iter()
            .find_map(|(unit, ms)| {
                let number = text.strip_suffix(unit)?;
                let count: u64 = number.parse().ok()?;
                Some(Self(Duration::from_millis(count.checked_mul(*ms)?)))
            })
            .filter(|span| span.0 <= MAX_SPAN)
            .ok_or_else(|| InvalidSpan(text.to_owned()))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, size) = UNITS
            .iter()
            .rev()
            .find(|(_, size)| ms >= *size && ms.is_multiple_of(*size))
            .unwrap_or(&UNITS[0]);
        write!(f, "{}{unit}", ms / size)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]{1,9}(ms|s|m|h|d)$",
            "description": "A length of time: a whole number and one of ms, s, m, h, d.",
            "examples": ["30s", "10m"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_writes_the_largest_whole_one() {
        for (text, ms) in
            [("1ms", 1), ("2s", 2_000), ("10m", 600_000), ("1h", 3_600_000), ("2d", 172_800_000)]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Duration::from_millis(ms));
            assert_eq!(span.to_string(), text);
        }
        assert_eq!(Span(Duration::from_secs(120)).to_string(), "2m");
        assert_eq!(Span(Duration::ZERO).to_string(), "0ms");
    }

    #[test]
    fn refuses_what_has_no_unit_or_no_number() {
        for text in ["", "1", "s", "1.5s", "-1s", "1 s", "1w", "367d", "99999999999999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
