//! The JSON Schema of the parameters, for what can be known before a run: types, keys and forms.
//!
//! Never stricter than reading them: what it refuses, [`WaitSpec::parse`](super::WaitSpec::parse)
//! refuses, too.

use serde_json::{Map, Value, json};

use super::hours::DAYS;
use super::{MAX_HOLIDAYS, MAX_INTERVALS_PER_DAY};

/// `Span`, up to as many digits as 366 days have in milliseconds.
const DURATION: &str = "^[0-9]{1,11}(ms|s|m|h|d)$";

/// A date and time whose seconds and offset may be missing.
const TIME: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,9})?)?\
                    (Z|[+-][0-9]{2}:[0-9]{2})?$";

/// From a minute of a day to another, of which the last may be 24:00.
const INTERVAL: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$";

/// A date, or a day of every year.
const HOLIDAY: &str = "^([0-9]{4}-)?[0-9]{2}-[0-9]{2}$";

/// The parameters of the `wait` node, as JSON Schema 2020-12.
pub fn wait_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "for": duration("How long to wait: at most 366d."),
            "until": {
                "type": ["string", "integer"],
                "pattern": TIME,
                "description": "A time with an offset, a local time together with `time_zone`, or \
                                milliseconds since 1970.",
                "examples": ["2026-12-24T18:00:00Z"],
            },
            "time_zone": time_zone(),
            "business": business(),
        },
        "additionalProperties": false,
        "minProperties": 1,
        // Exactly one way. Not as `oneOf`, which is left to the run if any value is an expression.
        "dependentSchemas": { "for": { "maxProperties": 1 }, "business": { "maxProperties": 1 } },
        "dependentRequired": { "time_zone": ["until"] },
    })
}

fn business() -> Value {
    let day = json!({
        "type": "array",
        "items": { "type": "string", "pattern": INTERVAL, "examples": ["09:00-17:30"] },
        "maxItems": MAX_INTERVALS_PER_DAY,
    });
    let days: Map<String, Value> =
        DAYS.iter().map(|name| ((*name).to_owned(), day.clone())).collect();
    let name = DAYS.join("|");
    json!({
        "type": "object",
        "properties": {
            "time_zone": time_zone(),
            "hours": {
                "type": "object",
                "properties": days,
                "patternProperties": { format!("^({name})-({name})$"): day },
                "additionalProperties": false,
                "minProperties": 1,
                "description": "By day, or by days in a row such as `mon-fri`.",
            },
            "holidays": {
                "type": "array",
                "items": { "type": "string", "pattern": HOLIDAY },
                "maxItems": MAX_HOLIDAYS,
                "description": "Dates, and days of every year such as `12-25`.",
            },
            "for": duration("So much time of opening hours; none: until it is open."),
        },
        "required": ["time_zone", "hours"],
        "additionalProperties": false,
    })
}

fn duration(description: &str) -> Value {
    json!({
        "type": "string",
        "pattern": DURATION,
        "description": description,
        "examples": ["2h"],
    })
}

fn time_zone() -> Value {
    json!({
        "type": "string",
        "description": "A name of the IANA time zone database.",
        "examples": ["Europe/Berlin"],
    })
}
