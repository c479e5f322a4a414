//! Parameters that are wrong, and what the schema finds of them before a run.

use super::super::{MAX_HOLIDAYS, MAX_INTERVALS_PER_DAY, wait_schema};
use super::*;

/// Who finds a mistake.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Finds {
    /// The schema, when a workflow is applied.
    Schema,
    /// Reading the parameters, in a run.
    Reading,
}
use Finds::{Reading, Schema};

/// Parameters of a calendar with one key set otherwise.
fn business(key: &str, value: Value) -> Value {
    let mut with = json!({"business": {
        "time_zone": "Europe/Berlin", "hours": {"mon-fri": ["09:00-17:00"]},
    }});
    with["business"][key] = value;
    with
}

fn hours(value: Value) -> Value {
    business("hours", value)
}

fn local(text: &str, zone: &str) -> Value {
    json!({"until": text, "time_zone": zone})
}

/// Each mistake with its code, its place, and who finds it first.
fn mistakes() -> Vec<(Value, &'static str, &'static str, Finds)> {
    let mut all = mistakes_of_the_whole();
    all.extend(mistakes_of_times());
    all.extend(mistakes_of_calendars());
    all.extend(mistakes_of_hours());
    all
}

fn mistakes_of_the_whole() -> Vec<(Value, &'static str, &'static str, Finds)> {
    vec![
        (json!("2h"), "wrong-type", "", Schema),
        (json!(null), "wrong-type", "", Schema),
        (json!({}), "not-one-way", "", Schema),
        (json!({"for": "2h", "until": 0}), "not-one-way", "", Schema),
        (json!({"time_zone": "Europe/Berlin"}), "not-one-way", "", Schema),
        (json!({"for": "2h", "business": {}}), "not-one-way", "", Schema),
        (json!({"fro": "2h"}), "unknown-key", "/fro", Schema),
        (json!({"for": "2h", "a/b": 1}), "unknown-key", "/a~1b", Schema),
        (json!({"for": "2h", "time_zone": "UTC"}), "extra-time-zone", "/time_zone", Schema),
        (json!({"for": 7200}), "wrong-type", "/for", Schema),
        (json!({"for": null}), "wrong-type", "/for", Schema),
        (json!({"for": "2 hours"}), "invalid-duration", "/for", Schema),
        (json!({"for": "-2h"}), "invalid-duration", "/for", Schema),
        (json!({"for": "367d"}), "invalid-duration", "/for", Reading),
    ]
}

fn mistakes_of_times() -> Vec<(Value, &'static str, &'static str, Finds)> {
    vec![
        (json!({"until": true}), "wrong-type", "/until", Schema),
        (json!({"until": 1.5}), "invalid-time", "/until", Schema),
        (json!({"until": 1e300}), "invalid-time", "/until", Reading),
        (json!({"until": u64::MAX}), "invalid-time", "/until", Reading),
        (json!({"until": "tomorrow"}), "invalid-time", "/until", Schema),
        (json!({"until": ""}), "invalid-time", "/until", Schema),
        (json!({"until": "2026-12-24"}), "invalid-time", "/until", Schema),
        (json!({"until": "2026-12-24T18"}), "invalid-time", "/until", Schema),
        (json!({"until": "2026-12-24 18:00Z"}), "invalid-time", "/until", Schema),
        (json!({"until": "2026-12-24T18:00.5Z"}), "invalid-time", "/until", Schema),
        (json!({"until": "2026-12-24T18:00:00.Z"}), "invalid-time", "/until", Schema),
        (json!({"until": "2026-12-24T18:00:00.0123456789Z"}), "invalid-time", "/until", Schema),
        (json!({"until": "2026-12-24T18:00+01"}), "invalid-time", "/until", Schema),
        (
            json!({"until": "2026-12-24T18:00+01:00[Europe/Berlin]"}),
            "invalid-time",
            "/until",
            Schema,
        ),
        (json!({"until": "２026-12-24T18:00Z"}), "invalid-time", "/until", Schema),
        (json!({"until": "2026-02-30T18:00Z"}), "invalid-time", "/until", Reading),
        (json!({"until": "2026-12-24T24:00Z"}), "invalid-time", "/until", Reading),
        (json!({"until": "2026-12-24T18:00+99:00"}), "invalid-time", "/until", Reading),
        (local("2026-02-30T18:00", "Europe/Berlin"), "invalid-time", "/until", Reading),
        (json!({"until": "2026-12-24T18:00"}), "missing-time-zone", "/until", Reading),
        (local("2026-12-24T18:00Z", "Europe/Berlin"), "extra-time-zone", "/time_zone", Reading),
        (json!({"until": 0, "time_zone": "UTC"}), "extra-time-zone", "/time_zone", Reading),
        (local("2026-12-24T18:00", "Europe/Berlni"), "unknown-time-zone", "/time_zone", Reading),
        (local("2026-12-24T18:00", "+01:00"), "unknown-time-zone", "/time_zone", Reading),
        (local("2026-12-24T18:00", "Etc/Unknown"), "unknown-time-zone", "/time_zone", Reading),
        (local("2026-12-24T18:00", ""), "unknown-time-zone", "/time_zone", Reading),
        (json!({"until": "2026-12-24T18:00", "time_zone": 1}), "wrong-type", "/time_zone", Schema),
    ]
}

fn mistakes_of_calendars() -> Vec<(Value, &'static str, &'static str, Finds)> {
    let many = vec!["2026-12-25"; MAX_HOLIDAYS + 1];
    vec![
        (json!({"business": "09:00-17:00"}), "wrong-type", "/business", Schema),
        (json!({"business": {}}), "missing-key", "/business", Schema),
        (json!({"business": {"time_zone": "UTC"}}), "missing-key", "/business", Schema),
        (business("hour", json!({})), "unknown-key", "/business/hour", Schema),
        (business("for", json!(4)), "wrong-type", "/business/for", Schema),
        (business("for", json!("4")), "invalid-duration", "/business/for", Schema),
        (business("time_zone", json!("CEST")), "unknown-time-zone", "/business/time_zone", Reading),
        (business("holidays", json!("12-25")), "wrong-type", "/business/holidays", Schema),
        (business("holidays", json!([1225])), "wrong-type", "/business/holidays/0", Schema),
        (
            business("holidays", json!(["12-25", "25.12."])),
            "invalid-holiday",
            "/business/holidays/1",
            Schema,
        ),
        (business("holidays", json!(["é5-2"])), "invalid-holiday", "/business/holidays/0", Schema),
        (
            business("holidays", json!(["02-30"])),
            "invalid-holiday",
            "/business/holidays/0",
            Reading,
        ),
        (
            business("holidays", json!(["2027-02-29"])),
            "invalid-holiday",
            "/business/holidays/0",
            Reading,
        ),
        (business("holidays", json!(many)), "too-many-holidays", "/business/holidays", Schema),
    ]
}

fn mistakes_of_hours() -> Vec<(Value, &'static str, &'static str, Finds)> {
    let many = vec!["09:00-10:00"; MAX_INTERVALS_PER_DAY + 1];
    let (monday, first, second) =
        ("/business/hours/mon", "/business/hours/mon/0", "/business/hours/mon/1");
    let mon = |list: Value| hours(json!({ "mon": list }));
    vec![
        (hours(json!(["09:00-17:00"])), "wrong-type", "/business/hours", Schema),
        (hours(json!({})), "never-opens", "/business/hours", Schema),
        (hours(json!({"mon-sun": []})), "never-opens", "/business/hours", Reading),
        (hours(json!({"monday": []})), "unknown-key", "/business/hours/monday", Schema),
        (hours(json!({"Mon": []})), "unknown-key", "/business/hours/Mon", Schema),
        (hours(json!({"mon-": []})), "unknown-key", "/business/hours/mon-", Schema),
        (hours(json!({"mon-tue-wed": []})), "unknown-key", "/business/hours/mon-tue-wed", Schema),
        (hours(json!({"mon-mon": []})), "unknown-key", "/business/hours/mon-mon", Reading),
        (
            hours(json!({"wed": [], "mon-fri": []})),
            "repeated-day",
            "/business/hours/mon-fri",
            Reading,
        ),
        (mon(json!("09:00-17:00")), "wrong-type", monday, Schema),
        (mon(json!(null)), "wrong-type", monday, Schema),
        (mon(json!([9])), "wrong-type", first, Schema),
        (mon(json!(["9:00-17:00"])), "invalid-hours", first, Schema),
        (mon(json!(["09:00"])), "invalid-hours", first, Schema),
        (mon(json!(["09:00-17:60"])), "invalid-hours", first, Schema),
        (mon(json!(["09:00-24:01"])), "invalid-hours", first, Schema),
        (mon(json!(["09:00-+7:00"])), "invalid-hours", first, Schema),
        (mon(json!(["24:00-24:00"])), "invalid-hours", first, Schema),
        (mon(json!(["22:00-06:00"])), "invalid-hours", first, Reading),
        (mon(json!(["09:00-09:00"])), "invalid-hours", first, Reading),
        (mon(json!(["13:00-17:00", "09:00-12:00"])), "overlapping-hours", second, Reading),
        (mon(json!(["09:00-13:00", "12:00-17:00"])), "overlapping-hours", second, Reading),
        (mon(json!(many)), "too-many-intervals", monday, Schema),
    ]
}

#[test]
fn a_mistake_has_its_code_and_its_place() {
    for (with, code, pointer, _) in mistakes() {
        let error = WaitSpec::parse(&with).unwrap_err();
        assert_eq!((error.code(), error.pointer.as_str()), (code, pointer), "{with}: {error}");
        // What is wrong, and then what to write.
        assert!(error.message.contains(": ") || code == "not-one-way", "{with}: {error}");
    }
}

#[test]
fn the_schema_finds_what_needs_no_calendar() {
    let schema = jsonschema::draft202012::new(&wait_schema()).unwrap();
    for (with, _, _, finds) in mistakes() {
        assert_eq!(schema.is_valid(&with), finds == Reading, "{with}");
    }
}

#[test]
fn what_is_read_is_valid() {
    let schema = jsonschema::draft202012::new(&wait_schema()).unwrap();
    let minute = "00:00-00:01";
    let limits = json!({"business": {
        "time_zone": "UTC",
        "hours": {"mon": [minute], "sat-sun": ["00:00-12:00", "12:00-24:00"], "wed-fri": []},
        "holidays": vec!["2026-12-25"; MAX_HOLIDAYS],
        "for": "31622400000ms",
    }});
    for with in [
        limits,
        json!({"for": "0s"}),
        json!({"for": "31622400000ms"}),
        json!({"until": "2026-12-24T18:00:00.123456789-05:30"}),
        json!({"until": 1e12}),
        local("2026-12-24T18:00", "europe/berlin"),
        business("holidays", json!([])),
    ] {
        WaitSpec::parse(&with).unwrap_or_else(|error| panic!("{with}: {error}"));
        assert!(schema.is_valid(&with), "{with}");
    }
}

/// Whoever checks a node skips errors at a value that is an expression: there must be no other.
#[test]
fn the_schema_leaves_expressions_alone() {
    let schema = jsonschema::draft202012::new(&wait_schema()).unwrap();
    let full = business("holidays", json!(["12-25"]));
    for (with, pointer) in [
        (json!({"for": "2h"}), "/for"),
        (local("2026-12-24T18:00", "Europe/Berlin"), "/until"),
        (local("2026-12-24T18:00", "Europe/Berlin"), "/time_zone"),
        (full.clone(), "/business"),
        (full.clone(), "/business/time_zone"),
        (full.clone(), "/business/hours"),
        (full.clone(), "/business/hours/mon-fri"),
        (full.clone(), "/business/hours/mon-fri/0"),
        (full.clone(), "/business/holidays"),
        (full, "/business/holidays/0"),
    ] {
        let mut with = with;
        *with.pointer_mut(pointer).unwrap() = json!("${ .trigger.x }");
        let elsewhere: Vec<String> = schema
            .iter_errors(&with)
            .map(|error| error.instance_path().to_string())
            .filter(|at| at != pointer)
            .collect();
        assert_eq!(elsewhere, Vec::<String>::new(), "{with}");
    }
}

#[test]
fn two_ways_are_found_even_if_both_are_expressions() {
    let schema = jsonschema::draft202012::new(&wait_schema()).unwrap();
    let with = json!({"for": "${ .trigger.a }", "until": "${ .trigger.b }"});
    assert!(schema.iter_errors(&with).any(|error| error.instance_path().to_string().is_empty()));
}

#[test]
fn an_error_says_what_to_write() {
    for (with, told) in [
        (json!({}), "give one of `for`, `until` and `business`, and only one"),
        (
            json!({"fro": "2h"}),
            "/fro: `fro` is not known here: write one of `for`, `until`, `time_zone`, `business`",
        ),
        (json!({"for": 2}), "/for: this is a number: write a text such as `2h`"),
        (
            hours(json!({"fri": ["22:00-06:00"]})),
            "/business/hours/fri/0: `22:00-06:00` does not end after it begins: write a night as \
             two intervals, such as `22:00-24:00` and, on the next day, `00:00-06:00`",
        ),
        (
            hours(json!({"mon-fri": [], "sun-mon": []})),
            "/business/hours/sun-mon: `mon` has its hours from `mon-fri`: name each day once",
        ),
    ] {
        assert_eq!(WaitSpec::parse(&with).unwrap_err().to_string(), told);
    }
}

#[test]
fn an_error_repeats_only_the_beginning_of_a_long_value() {
    let long = "ä".repeat(10_000);
    for with in [
        json!({ "for": long }),
        json!({ "until": long }),
        json!({ long.clone(): 1 }),
        local("2026-12-24T18:00", &long),
        business("holidays", json!([long])),
        hours(json!({ long.clone(): [] })),
        hours(json!({ "mon": [long] })),
    ] {
        let error = WaitSpec::parse(&with).unwrap_err();
        assert!(error.message.len() < 500, "{}", error.message);
        assert!(error.message.contains(&format!("{}..", "ä".repeat(64))), "{}", error.message);
    }
}
