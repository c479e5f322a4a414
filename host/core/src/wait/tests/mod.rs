//! Tests of the parameters and of the times they give, as tables and as properties.

mod business;
mod document;
mod mistakes;
mod properties;
mod times;

use serde_json::{Value, json};

use super::{WaitError, WaitSpec};
use crate::clock::Timestamp;

/// A time written with its offset.
fn at(text: &str) -> Timestamp {
    let time: jiff::Timestamp = text.parse().unwrap();
    Timestamp(time.as_millisecond())
}

fn due(with: &Value, now: &str) -> Result<Timestamp, WaitError> {
    WaitSpec::parse(with).unwrap_or_else(|error| panic!("{with}: {error}")).due(at(now))
}

/// A calendar in a zone, without holidays.
fn calendar(zone: &str, hours: Value, needed: &str) -> Value {
    json!({"business": {"time_zone": zone, "hours": hours, "for": needed}})
}

/// Checks a table of parameters, now, and when they are due then.
fn check(table: &[(Value, &str, &str)]) {
    for (with, now, expected) in table {
        assert_eq!(due(with, now), Ok(at(expected)), "{with} at {now}");
    }
}

/// Checks that parameters are due too late or never: the code and the pointer.
fn check_refused(table: &[(Value, &str, &str, &str)]) {
    for (with, now, code, pointer) in table {
        let error = due(with, now).unwrap_err();
        assert_eq!((error.code(), error.pointer.as_str()), (*code, *pointer), "{with}: {error}");
    }
}
