//! The time of sending: finds it, writes it, and holds it against the time now.

use http::HeaderMap;
use tombolo_core::workflow::{TimestampRule, TimestampSource, TimestampUnit, VerifyScheme};

use super::signature::Given;
use super::{Refusal, headers};

/// The timestamp as sent, if it stands outside the body; empty if the scheme has none there.
pub(super) fn read<'a>(
    scheme: &VerifyScheme,
    headers: &'a HeaderMap,
    given: &Given<'a>,
) -> Result<&'a str, Refusal> {
    let Some(rule) = &scheme.timestamp else {
        return Ok("");
    };
    let missing = || Refusal::MissingTimestamp { place: place(scheme, &rule.from) };
    match &rule.from {
        TimestampSource::Header(name) => match headers::short_text(headers, name) {
            // An id and a timestamp are read alike, and refused under their own names.
            Err(Refusal::MalformedId { .. }) => {
                Err(Refusal::MalformedTimestamp { place: place(scheme, &rule.from) })
            }
            other => other?.ok_or_else(missing),
        },
        TimestampSource::Parameter(_) => given.timestamp.ok_or_else(missing),
        TimestampSource::BodyPointer(_) => Ok(""),
    }
}

/// Refuses a time too far from now. Only to be called once the signature is known to be good.
pub(super) fn check(
    scheme: &VerifyScheme,
    text: &str,
    body: &[u8],
    now_ms: i64,
) -> Result<Option<i64>, Refusal> {
    let Some(rule) = &scheme.timestamp else {
        return Ok(None);
    };
    let sent_ms = match &rule.from {
        TimestampSource::BodyPointer(pointer) => in_body(body, pointer, rule.unit),
        TimestampSource::Header(_) | TimestampSource::Parameter(_) => parse(text, rule.unit),
    };
    let sent_ms =
        sent_ms.ok_or_else(|| Refusal::MalformedTimestamp { place: place(scheme, &rule.from) })?;
    within(rule, sent_ms, now_ms).map(|()| Some(sent_ms))
}

/// Holds the time of sending against the tolerances.
fn within(rule: &TimestampRule, sent_ms: i64, now_ms: i64) -> Result<(), Refusal> {
    let age_ms = now_ms.saturating_sub(sent_ms);
    if age_ms > i64::from(rule.past_s) * 1000 {
        return Err(Refusal::StaleTimestamp { age_s: age_ms / 1000, past_s: rule.past_s });
    }
    let ahead_ms = sent_ms.saturating_sub(now_ms);
    if ahead_ms > i64::from(rule.future_s) * 1000 {
        return Err(Refusal::FutureTimestamp { ahead_s: ahead_ms / 1000, future_s: rule.future_s });
    }
    Ok(())
}

/// Milliseconds since 1970. Digits only: no sign, no fraction, no space.
fn parse(text: &str, unit: TimestampUnit) -> Option<i64> {
    let number = || {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|_| digits)
    };
    match unit {
        TimestampUnit::S => number()?.checked_mul(1000),
        TimestampUnit::Ms => number(),
        TimestampUnit::Rfc3339 => {
            text.parse().ok().map(|time: jiff::Timestamp| time.as_millisecond())
        }
    }
}

/// The time that stands in the body, as a JSON number or string.
fn in_body(body: &[u8], pointer: &str, unit: TimestampUnit) -> Option<i64> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    match body.pointer(pointer)? {
        serde_json::Value::String(text) => parse(text, unit),
        serde_json::Value::Number(number) => parse(&number.to_string(), unit),
        _ => None,
    }
}

/// Writes a time in the unit of the rule.
pub(super) fn write(unit: TimestampUnit, now_ms: i64) -> String {
    match unit {
        TimestampUnit::S => now_ms.div_euclid(1000).to_string(),
        TimestampUnit::Ms => now_ms.to_string(),
        TimestampUnit::Rfc3339 => tombolo_core::clock::Timestamp(now_ms).to_string(),
    }
}

/// Where the timestamp stands, in words.
fn place(scheme: &VerifyScheme, source: &TimestampSource) -> String {
    match source {
        TimestampSource::Header(name) => format!("header `{name}`"),
        TimestampSource::Parameter(label) => {
            format!("`{label}` in header `{}`", scheme.signature.header)
        }
        TimestampSource::BodyPointer(pointer) => format!("`{pointer}` in the body"),
    }
}
