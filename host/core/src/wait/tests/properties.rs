//! Properties over arbitrary calendars and times, many of them near changes of the clocks.

use std::time::Duration;

use jiff::ToSpan;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use proptest::prelude::*;

use super::super::calendar::{Calendar, Opening};
use super::super::hours::DAYS;
use super::super::{MAX_WAIT, Way};
use super::*;

/// Ordinary zones, zones whose clocks change by half an hour or at midnight, one by two hours, one
/// that left a day out, and one that left a midnight out.
const ZONES: [&str; 10] = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Havana",
    "America/Nuuk",
    "Antarctica/Troll",
    "Pacific/Apia",
    "America/Toronto",
    "UTC",
];

/// Shortly before changes of the clocks in these zones.
const CHANGES: [&str; 11] = [
    "2026-03-29T00:00:00Z",
    "2026-10-25T00:00:00Z",
    "2026-03-08T04:00:00Z",
    "2026-11-01T03:00:00Z",
    "2026-10-03T15:00:00Z",
    "2026-04-04T14:00:00Z",
    "2026-03-28T23:00:00Z",
    "2011-12-30T08:00:00Z",
    "1919-03-31T04:00:00Z",
    "2028-02-28T22:00:00Z",
    "2026-12-31T22:00:00Z",
];

const HOUR_MS: i64 = 3_600_000;

const QUARTER_MS: i64 = HOUR_MS / 4;

fn any_now() -> impl Strategy<Value = Timestamp> {
    let near = (prop::sample::select(&CHANGES[..]), -30 * HOUR_MS..30 * HOUR_MS)
        .prop_map(|(change, apart)| Timestamp(at(change).0 + apart));
    let year = (at("2026-01-01T00:00:00Z").0..at("2027-01-01T00:00:00Z").0).prop_map(Timestamp);
    prop_oneof![3 => near, 1 => year]
}

/// Intervals of a day between whole quarters of an hour.
fn any_day(quarters: impl Strategy<Value = u16>) -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set(quarters, 0..=6).prop_map(|edges| {
        let edges: Vec<String> =
            edges.iter().map(|q| format!("{:02}:{:02}", q / 4, q % 4 * 15)).collect();
        edges.chunks_exact(2).map(|edge| edge.join("-")).collect()
    })
}

/// A calendar that is open at some time, in any of the zones.
fn any_calendar<Q: Strategy<Value = u16> + Clone>(
    quarters: Q,
    zones: &'static [&'static str],
) -> impl Strategy<Value = Value> {
    let week = prop::collection::vec(any_day(quarters), 7)
        .prop_filter("open on some day", |week| week.iter().any(|day| !day.is_empty()));
    let holidays = prop::collection::vec(
        prop::sample::select(&["03-29", "10-25", "2026-11-01", "2026-03-30", "01-01"][..]),
        0..3,
    );
    (prop::sample::select(zones), week, holidays).prop_map(|(zone, week, holidays)| {
        let hours: Value = DAYS.iter().zip(week).map(|(day, list)| (*day, json!(list))).collect();
        json!({"business": {"time_zone": zone, "hours": hours, "holidays": holidays}})
    })
}

fn any_hours() -> impl Strategy<Value = Value> {
    any_calendar(0..=96_u16, &ZONES)
}

/// Some hours, as milliseconds.
fn any_needed() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 6 => 1..60_u64 * 3_600_000]
}

fn wait_for(calendar: &Value, needed_ms: u64) -> WaitSpec {
    let mut with = calendar.clone();
    with["business"]["for"] = json!(format!("{needed_ms}ms"));
    WaitSpec::parse(&with).unwrap()
}

fn due_after(calendar: &Value, needed_ms: u64, now: Timestamp) -> Result<Timestamp, WaitError> {
    wait_for(calendar, needed_ms).due(now)
}

/// All stretches in which it is open, from two days before `from` to two days after `to`.
fn openings(with: &Value, from: Timestamp, to: Timestamp) -> Vec<Opening> {
    let Way::Business { calendar, .. } = wait_for(with, 0).0 else {
        panic!("this is no calendar");
    };
    let zone = zone(with);
    let (first, last) = (local(&zone, from).date(), local(&zone, to).date());
    let days = first.saturating_sub(2.days()).series(1.day());
    days.take_while(|day| *day <= last.saturating_add(2.days()))
        .flat_map(|day| Calendar::openings(&calendar, day).unwrap())
        .collect()
}

fn zone(with: &Value) -> TimeZone {
    let name = with["business"]["time_zone"].as_str().unwrap();
    TimeZoneDatabase::bundled().get(name).unwrap()
}

fn local(zone: &TimeZone, time: Timestamp) -> jiff::civil::DateTime {
    zone.to_datetime(jiff::Timestamp::from_millisecond(time.0).unwrap())
}

/// Whether the clock on the wall shows opening hours: told from the parameters alone.
fn is_open(with: &Value, zone: &TimeZone, time: Timestamp) -> bool {
    let (clock, business) = (local(zone, time), &with["business"]);
    let (date, minute) = (clock.date().to_string(), clock.strftime("%H:%M").to_string());
    let closed = business["holidays"].as_array().unwrap().iter().any(|holiday| {
        let holiday = holiday.as_str().unwrap();
        date == holiday || date[5..] == *holiday
    });
    let day = DAYS[usize::try_from(clock.weekday().to_monday_zero_offset()).unwrap()];
    let within = |interval: &Value| {
        let (from, to) = interval.as_str().unwrap().split_once('-').unwrap();
        *from <= *minute && *minute < *to
    };
    !closed && business["hours"][day].as_array().unwrap().iter().any(within)
}

/// Counts opening hours in steps of a quarter of an hour, by the clock on the wall.
fn count_by_clock(with: &Value, mut needed_ms: i64, now: Timestamp) -> Timestamp {
    let (zone, mut time) = (zone(with), now.0);
    loop {
        if is_open(with, &zone, Timestamp(time)) {
            let lasts = QUARTER_MS - time.rem_euclid(QUARTER_MS);
            if needed_ms <= lasts {
                return Timestamp(time + needed_ms);
            }
            needed_ms -= lasts;
        }
        time += QUARTER_MS - time.rem_euclid(QUARTER_MS);
        assert!(Timestamp(time).since(now) < MAX_WAIT, "not open for long enough");
    }
}

proptest! {
    /// Where no interval begins or ends while the clocks change, hours are what the clock shows.
    #[test]
    fn it_is_due_as_counted_by_the_clock_on_the_wall(
        with in any_calendar(prop_oneof![Just(0_u16), 16..=96_u16], &ZONES[..4]),
        needed in any_needed(),
        now in any_now(),
    ) {
        if let Ok(due) = due_after(&with, needed, now) {
            prop_assert_eq!(due, count_by_clock(&with, i64::try_from(needed).unwrap(), now));
        }
    }

    #[test]
    fn it_is_never_due_before_now_and_never_too_late(
        with in any_hours(), needed in any_needed(), now in any_now(),
    ) {
        match due_after(&with, needed, now) {
            Ok(due) => {
                prop_assert!(due >= now.plus(Duration::from_millis(needed)));
                prop_assert!(due.since(now) <= MAX_WAIT);
            }
            Err(error) => prop_assert_eq!(error.code(), "max-wait"),
        }
    }

    #[test]
    fn it_is_due_in_opening_hours_or_as_they_end(
        with in any_hours(), needed in any_needed(), now in any_now(),
    ) {
        if let Ok(due) = due_after(&with, needed, now) {
            let around = openings(&with, due, due);
            let within = around.iter().any(|opening| match needed {
                0 => opening.start <= due && due < opening.end,
                _ => opening.start < due && due <= opening.end,
            });
            prop_assert!(within, "{due} is not in {around:?}");
        }
    }

    /// Nothing is counted twice or left out.
    #[test]
    fn as_much_has_passed_as_was_asked_for(
        with in any_hours(), needed in any_needed(), now in any_now(),
    ) {
        if let Ok(due) = due_after(&with, needed, now) {
            let passed: Duration = openings(&with, now, due)
                .iter()
                .map(|opening| opening.end.min(due).since(opening.start.max(now)))
                .sum();
            prop_assert_eq!(passed, Duration::from_millis(needed));
        }
    }

    /// Not so for a second wait of no length: it asks to be open, and the first may end as it
    /// closes.
    #[test]
    fn two_waits_in_a_row_are_as_long_as_both_together(
        with in any_hours(), first in any_needed(), second in 1..60_u64 * 3_600_000,
        now in any_now(),
    ) {
        if let Ok(together) = due_after(&with, first + second, now) {
            let due = due_after(&with, first, now).unwrap();
            prop_assert_eq!(due_after(&with, second, due), Ok(together));
        }
    }

    #[test]
    fn who_starts_later_is_not_due_earlier(
        with in any_hours(), needed in any_needed(), now in any_now(),
        later in 0..72_u64 * 3_600_000,
    ) {
        let after = now.plus(Duration::from_millis(later));
        if let (Ok(due), Ok(later)) = (due_after(&with, needed, now), due_after(&with, needed, after)) {
            prop_assert!(due <= later, "{due} from {now}, {later} from {after}");
        }
    }

    #[test]
    fn openings_are_in_order_and_apart(with in any_hours(), now in any_now()) {
        let week = Duration::from_secs(7 * 24 * 3600);
        let openings = openings(&with, now, now.plus(week));
        for opening in &openings {
            prop_assert!(opening.start < opening.end, "{opening:?}");
        }
        for pair in openings.windows(2) {
            prop_assert!(pair[0].end <= pair[1].start, "{pair:?}");
        }
    }

    /// For the other two ways, too.
    #[test]
    fn lengths_and_times_are_never_due_before_now(
        length in 0..=366 * 86_400_000_u64, until in any_now(), now in any_now(),
    ) {
        let wait = WaitSpec::parse(&json!({"for": format!("{length}ms")})).unwrap();
        prop_assert_eq!(wait.due(now), Ok(now.plus(Duration::from_millis(length))));

        let wait = WaitSpec::parse(&json!({"until": until.to_string()})).unwrap();
        match wait.due(now) {
            Ok(due) => prop_assert_eq!(due, until.max(now)),
            Err(_) => prop_assert!(until.since(now) > MAX_WAIT),
        }
    }
}
