//! Waiting for a length of time and until a time.

use std::time::Duration;

use super::super::MAX_WAIT;
use super::*;
use crate::workflow::Span;

#[test]
fn a_length_of_time_counts_from_now() {
    check(&[
        (json!({"for": "2h"}), "2026-11-22T10:00:00.250Z", "2026-11-22T12:00:00.250Z"),
        (json!({"for": "0s"}), "2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
        (json!({"for": "366d"}), "2026-11-22T10:00:00Z", "2027-11-23T10:00:00Z"),
        // A day is 24 hours, also where one has 23.
        (json!({"for": "1d"}), "2026-03-28T12:00:00+01:00", "2026-03-29T13:00:00+02:00"),
    ]);
}

#[test]
fn the_longest_length_of_time_is_the_longest_wait() {
    assert_eq!("366d".parse::<Span>().unwrap().0, MAX_WAIT);
    assert!("367d".parse::<Span>().is_err());
}

#[test]
fn a_time_is_read_with_its_offset_or_in_its_zone() {
    let now = "2026-11-22T10:00:00Z";
    let berlin = |text: &str| json!({"until": text, "time_zone": "Europe/Berlin"});
    check(&[
        (json!({"until": "2026-12-24T18:00:00Z"}), now, "2026-12-24T18:00:00Z"),
        (json!({"until": "2026-12-24T18:00Z"}), now, "2026-12-24T18:00:00Z"),
        (json!({"until": "2026-12-24T18:00:00-05:00"}), now, "2026-12-24T23:00:00Z"),
        (json!({"until": "2026-12-24T18:00:00.5+05:30"}), now, "2026-12-24T12:30:00.500Z"),
        (berlin("2026-12-24T18:00"), now, "2026-12-24T17:00:00Z"),
        (berlin("2026-12-24T18:00:30.25"), now, "2026-12-24T17:00:30.250Z"),
        (
            json!({"until": "2026-12-24T18:00", "time_zone": "asia/kolkata"}),
            now,
            "2026-12-24T12:30:00Z",
        ),
        (json!({"until": 1_798_135_200_000_i64}), now, "2026-12-24T18:00:00Z"),
        (json!({"until": 1_798_135_200_000.0}), now, "2026-12-24T18:00:00Z"),
    ]);
}

#[test]
fn nothing_is_due_a_part_of_a_millisecond_too_early() {
    for (until, expected) in [
        ("2026-12-24T18:00:00.0001Z", "2026-12-24T18:00:00.001Z"),
        ("2026-12-24T18:00:00.001Z", "2026-12-24T18:00:00.001Z"),
        ("1969-12-24T18:00:00.0001Z", "1969-12-24T18:00:00.001Z"),
        ("1969-12-24T18:00:00.0019Z", "1969-12-24T18:00:00.002Z"),
    ] {
        let now = if until < "1970" { "1969-11-22T10:00:00Z" } else { "2026-11-22T10:00:00Z" };
        assert_eq!(due(&json!({ "until": until }), now), Ok(at(expected)), "{until}");
    }
}

#[test]
fn a_time_that_is_past_is_due_at_once() {
    let now = "2026-11-22T10:00:00Z";
    check(&[
        (json!({"until": "2026-11-22T09:59:59Z"}), now, now),
        (json!({"until": "0001-01-01T00:00:00Z"}), now, now),
        (json!({"until": 0}), now, now),
        (json!({"until": -9_007_199_254_740_992_i64}), now, now),
        (json!({"until": i64::MIN}), now, now),
    ]);
}

/// In Berlin 02:00 to 03:00 is left out on 2026-03-29 and comes twice on 2026-10-25; in New York
/// it is so on 2026-03-08, and 01:00 to 02:00 comes twice on 2026-11-01.
#[test]
fn a_local_time_that_is_left_out_or_comes_twice_is_resolved_as_documented() {
    let now = "2026-01-01T00:00:00Z";
    let local = |text: &str, zone: &str| json!({"until": text, "time_zone": zone});
    check(&[
        (local("2026-03-29T01:59", "Europe/Berlin"), now, "2026-03-29T01:59:00+01:00"),
        (local("2026-03-29T02:00", "Europe/Berlin"), now, "2026-03-29T03:00:00+02:00"),
        (local("2026-03-29T02:30", "Europe/Berlin"), now, "2026-03-29T03:30:00+02:00"),
        (local("2026-03-29T03:00", "Europe/Berlin"), now, "2026-03-29T03:00:00+02:00"),
        (local("2026-10-25T02:30", "Europe/Berlin"), now, "2026-10-25T02:30:00+02:00"),
        (local("2026-10-25T03:00", "Europe/Berlin"), now, "2026-10-25T03:00:00+01:00"),
        (local("2026-03-08T02:30", "America/New_York"), now, "2026-03-08T03:30:00-04:00"),
        (local("2026-11-01T01:30", "America/New_York"), now, "2026-11-01T01:30:00-04:00"),
    ]);
}

#[test]
fn a_wait_has_a_bound() {
    let now = "2026-11-22T10:00:00Z";
    check(&[(json!({"until": "2027-11-23T10:00:00Z"}), now, "2027-11-23T10:00:00Z")]);
    check_refused(&[
        (json!({"until": "2027-11-23T10:00:00.001Z"}), now, "max-wait", "/until"),
        (json!({"until": i64::MAX}), now, "max-wait", "/until"),
        (
            json!({"until": "9999-01-01T00:00", "time_zone": "Europe/Berlin"}),
            now,
            "max-wait",
            "/until",
        ),
    ]);
    let error = due(&json!({"until": "2028-01-01T00:00:00Z"}), now).unwrap_err();
    assert!(error.message.contains("`max_wait`"), "{error}");
    assert!(error.message.contains("before 2027-11-23T10:00:00.000Z"), "{error}");
}

#[test]
fn any_time_may_be_now() {
    let wait = WaitSpec::parse(&json!({"for": "1h"})).unwrap();
    assert_eq!(wait.due(Timestamp(i64::MAX)), Ok(Timestamp(i64::MAX)));
    assert_eq!(wait.due(Timestamp(0)), Ok(Timestamp(0).plus(Duration::from_secs(3600))));

    let hours = json!({"mon": ["09:00-17:00"]});
    let wait = WaitSpec::parse(&calendar("Europe/Berlin", hours, "1h")).unwrap();
    for now in [i64::MAX, i64::MIN] {
        assert_eq!(wait.due(Timestamp(now)).unwrap_err().code(), "out-of-range");
    }
}
