//! A point in time: with an offset, local with a zone, or in milliseconds since 1970.

use jiff::civil::DateTime;
use serde_json::{Number, Value};

use super::error::{WaitError, WaitFault};
use super::fields::{Fields, shown, wrong_type};
use super::zone;
use crate::clock::Timestamp;

/// Integers up to this are exact in a JSON number that is kept as a floating-point number.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads `until` and `time_zone`.
pub(super) fn parse(fields: &Fields<'_>) -> Result<Timestamp, WaitError> {
    match fields.get("until") {
        Some(Value::Number(number)) => {
            without_zone(fields, "milliseconds since 1970 have no time zone")?;
            whole(number).map(Timestamp).ok_or_else(|| {
                let message =
                    format!("`{number}` is no whole number: write milliseconds since 1970");
                WaitError::new(WaitFault::InvalidTime, fields.at("until"), message)
            })
        }
        Some(Value::String(text)) => match Parts::of(text) {
            Some(Parts { offset: None, local }) => in_zone(fields, text, local),
            Some(Parts { offset: Some(_), .. }) => {
                without_zone(fields, "`until` has an offset already")?;
                let time = text.parse::<jiff::Timestamp>();
                time.map(round_up).map_err(|_| no_time(fields, text))
            }
            None => Err(no_time(fields, text)),
        },
        other => {
            let found = other.unwrap_or(&Value::Null);
            let wanted = "a time such as `2026-12-24T18:00:00Z`, or milliseconds since 1970";
            Err(wrong_type(found, &fields.at("until"), wanted))
        }
    }
}

/// A local time. One that a change of the clocks leaves out is taken as if the clocks had not
/// changed, so that it comes later by the clock; of one that comes twice the first is taken (RFC
/// 5545 and jiff call this "compatible").
fn in_zone(fields: &Fields<'_>, text: &str, local: &str) -> Result<Timestamp, WaitError> {
    let Some(name) = fields.get("time_zone") else {
        let message = format!(
            "`{}` is a local time: add `\"time_zone\": \"Europe/Berlin\"`, or an offset such as \
             `Z` or `+01:00`",
            shown(text)
        );
        return Err(WaitError::new(WaitFault::MissingTimeZone, fields.at("until"), message));
    };
    let zone = zone::parse(name, &fields.at("time_zone"))?;
    let time = local.parse::<DateTime>().and_then(|local| zone.to_timestamp(local));
    time.map(round_up).map_err(|_| no_time(fields, text))
}

fn without_zone(fields: &Fields<'_>, why: &str) -> Result<(), WaitError> {
    match fields.get("time_zone") {
        None => Ok(()),
        Some(_) => Err(WaitError::new(
            WaitFault::ExtraTimeZone,
            fields.at("time_zone"),
            format!("{why}: leave `time_zone` out"),
        )),
    }
}

fn no_time(fields: &Fields<'_>, text: &str) -> WaitError {
    let message = format!(
        "`{}` is no time: write one such as `2026-12-24T18:00:00Z`, or `2026-12-24T18:00` with \
         `time_zone`",
        shown(text)
    );
    WaitError::new(WaitFault::InvalidTime, fields.at("until"), message)
}

/// A date and time in the form of RFC 3339, whose seconds and offset may be missing.
struct Parts<'a> {
    local: &'a str,
    /// None if there is none.
    offset: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Splits a text of this form; whether the numbers are a date and a time is not looked at.
    /// None if it has another form, though jiff may read more.
    fn of(text: &'a str) -> Option<Self> {
        let mut rest = after(text, "0000-00-00T00:00")?;
        if let Some(seconds) = after(rest, ":00") {
            rest = seconds;
            if let Some(fraction) = rest.strip_prefix('.') {
                rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
                if !(1..=9).contains(&(fraction.len() - rest.len())) {
                    return None;
                }
            }
        }
        let local = text.strip_suffix(rest)?;
        match rest {
            "" => Some(Self { local, offset: None }),
            "Z" => Some(Self { local, offset: Some(rest) }),
            _ => {
                let end = after(rest, "+00:00").or_else(|| after(rest, "-00:00"))?;
                end.is_empty().then_some(Self { local, offset: Some(rest) })
            }
        }
    }
}

/// What follows a beginning of this form, where `0` stands for any digit.
fn after<'a>(text: &'a str, form: &str) -> Option<&'a str> {
    let (beginning, rest) = text.split_at_checked(form.len())?;
    let fits = |(c, wanted): (u8, u8)| {
        if wanted == b'0' { c.is_ascii_digit() } else { c == wanted }
    };
    beginning.bytes().zip(form.bytes()).all(fits).then_some(rest)
}

/// The first whole millisecond that is not before the time, so that nothing is due too early.
fn round_up(time: jiff::Timestamp) -> Timestamp {
    // Both numbers have the time's sign: before 1970, cutting the rest off rounds up.
    let part = i64::from(time.subsec_nanosecond() % 1_000_000 > 0);
    Timestamp(time.as_millisecond() + part)
}

/// A whole number, also one that was computed and is kept as a floating-point number.
fn whole(number: &Number) -> Option<i64> {
    let float = || {
        let float = number.as_f64()?;
        (float.fract() == 0.0 && float.abs() <= MAX_EXACT).then_some(float as i64)
    };
    number.as_i64().or_else(float)
}
