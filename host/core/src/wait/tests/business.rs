//! Waiting for opening hours: where the time goes at nights, weekends, holidays and when the
//! clocks change.

use super::*;

/// Monday to Friday with a break, in Berlin.
fn office(needed: &str) -> Value {
    let hours = json!({"mon-fri": ["09:00-12:00", "13:00-17:30"]});
    json!({"business": {
        "time_zone": "Europe/Berlin",
        "hours": hours,
        "holidays": ["2026-12-24", "12-25", "01-01"],
        "for": needed,
    }})
}

/// 2026-11-23 is a Monday.
#[test]
fn time_passes_in_opening_hours_only() {
    check(&[
        (office("2h"), "2026-11-23T09:30:00+01:00", "2026-11-23T11:30:00+01:00"),
        (office("2h"), "2026-11-23T07:00:00+01:00", "2026-11-23T11:00:00+01:00"),
        // Over the break, the night and the weekend.
        (office("4h"), "2026-11-23T09:00:00+01:00", "2026-11-23T14:00:00+01:00"),
        (office("2h"), "2026-11-23T16:30:00+01:00", "2026-11-24T10:00:00+01:00"),
        (office("1h"), "2026-11-27T17:00:00+01:00", "2026-11-30T09:30:00+01:00"),
        (office("1h"), "2026-11-28T12:00:00+01:00", "2026-11-30T10:00:00+01:00"),
        // A day has seven and a half hours, a week five such days.
        (office("15h"), "2026-11-23T09:00:00+01:00", "2026-11-24T17:30:00+01:00"),
        (office("75h"), "2026-11-23T09:00:00+01:00", "2026-12-04T17:30:00+01:00"),
        (office("1ms"), "2026-11-23T12:00:00+01:00", "2026-11-23T13:00:00.001+01:00"),
    ]);
}

#[test]
fn it_is_due_when_it_closes_if_all_time_has_passed_then() {
    check(&[
        (office("3h"), "2026-11-23T09:00:00+01:00", "2026-11-23T12:00:00+01:00"),
        (office("10801s"), "2026-11-23T09:00:00+01:00", "2026-11-23T13:00:01+01:00"),
    ]);
}

#[test]
fn without_a_length_it_is_due_when_it_is_open() {
    let without = {
        let mut with = office("0s");
        with["business"].as_object_mut().unwrap().shift_remove("for");
        with
    };
    for with in [office("0s"), without] {
        check(&[
            (with.clone(), "2026-11-23T10:15:00.123+01:00", "2026-11-23T10:15:00.123+01:00"),
            (with.clone(), "2026-11-23T09:00:00+01:00", "2026-11-23T09:00:00+01:00"),
            // The moment at which it closes is closed.
            (with.clone(), "2026-11-23T12:00:00+01:00", "2026-11-23T13:00:00+01:00"),
            (with.clone(), "2026-11-27T17:30:00+01:00", "2026-11-30T09:00:00+01:00"),
        ]);
    }
}

/// 2026-12-24 is a Thursday, 2027-12-24 a Friday, 2028-12-25 a Monday.
#[test]
fn holidays_are_closed() {
    check(&[
        (office("1h"), "2026-12-23T17:00:00+01:00", "2026-12-28T09:30:00+01:00"),
        // The 24th only in 2026, the 25th every year.
        (office("0s"), "2027-12-24T08:00:00+01:00", "2027-12-24T09:00:00+01:00"),
        (office("0s"), "2028-12-25T08:00:00+01:00", "2028-12-26T09:00:00+01:00"),
        (office("0s"), "2027-12-31T18:00:00+01:00", "2028-01-03T09:00:00+01:00"),
    ]);
    let mut leap_day = calendar("Europe/Berlin", json!({"mon-sun": ["00:00-24:00"]}), "0s");
    leap_day["business"]["holidays"] = json!(["02-29"]);
    check(&[
        (leap_day.clone(), "2028-02-29T12:00:00+01:00", "2028-03-01T00:00:00+01:00"),
        (leap_day, "2027-02-28T23:59:00+01:00", "2027-02-28T23:59:00+01:00"),
    ]);
}

#[test]
fn a_day_may_last_until_24_00() {
    let night = json!({"fri": ["22:00-24:00"], "sat": ["00:00-06:00"]});
    let night = |needed: &str| calendar("Europe/Berlin", night.clone(), needed);
    check(&[
        (night("3h"), "2026-11-27T22:30:00+01:00", "2026-11-28T01:30:00+01:00"),
        (night("2h"), "2026-11-27T22:00:00+01:00", "2026-11-28T00:00:00+01:00"),
        (night("0s"), "2026-11-28T00:00:00+01:00", "2026-11-28T00:00:00+01:00"),
        (night("9h"), "2026-11-27T12:00:00+01:00", "2026-12-04T23:00:00+01:00"),
    ]);
    let always = json!({"mon-sun": ["00:00-24:00"]});
    check(&[(
        calendar("Europe/Berlin", always, "100d"),
        "2026-01-01T00:00:00Z",
        "2026-04-11T00:00:00Z",
    )]);
}

#[test]
fn days_in_a_row_may_go_over_the_end_of_a_week() {
    let hours = json!({"sun-thu": ["09:00-10:00"], "fri": []});
    let week = |needed: &str| calendar("Asia/Jerusalem", hours.clone(), needed);
    check(&[
        (week("1h"), "2026-11-26T09:30:00+02:00", "2026-11-29T09:30:00+02:00"),
        (week("5h"), "2026-11-28T09:30:00+02:00", "2026-12-03T10:00:00+02:00"),
    ]);
}

#[test]
fn a_zone_may_be_half_an_hour_or_less_off() {
    let hours = json!({"mon-fri": ["09:00-18:00"]});
    check(&[
        (
            calendar("Asia/Kolkata", hours.clone(), "1h"),
            "2026-11-23T17:30:00+05:30",
            "2026-11-24T09:30:00+05:30",
        ),
        (
            calendar("Asia/Kathmandu", hours.clone(), "0s"),
            "2026-11-22T00:00:00Z",
            "2026-11-23T09:00:00+05:45",
        ),
        // Its clocks change by half an hour, at 02:00 on 2026-10-04 and on 2026-04-05.
        (
            calendar("Australia/Lord_Howe", json!({"sun": ["01:00-04:00"]}), "2h"),
            "2026-10-04T01:00:00+10:30",
            "2026-10-04T03:30:00+11:00",
        ),
        (
            calendar("Australia/Lord_Howe", json!({"sun": ["01:00-04:00"]}), "3h"),
            "2026-04-05T01:00:00+11:00",
            "2026-04-05T03:30:00+10:30",
        ),
    ]);
}

/// All Sundays: the clocks in Berlin go from 02:00 to 03:00 on 2026-03-29, and from 03:00 to 02:00
/// on 2026-10-25; in New York on 2026-03-08 from 02:00 and on 2026-11-01 from 02:00 to 01:00.
#[test]
fn real_time_passes_when_the_clocks_change() {
    let night = |zone: &str, needed: &str| calendar(zone, json!({"sun": ["00:00-06:00"]}), needed);
    check(&[
        (night("Europe/Berlin", "4h"), "2026-03-29T00:00:00+01:00", "2026-03-29T05:00:00+02:00"),
        (night("Europe/Berlin", "5h"), "2026-03-29T00:00:00+01:00", "2026-03-29T06:00:00+02:00"),
        (night("Europe/Berlin", "6h"), "2026-03-29T00:00:00+01:00", "2026-04-05T01:00:00+02:00"),
        (night("Europe/Berlin", "4h"), "2026-10-25T00:00:00+02:00", "2026-10-25T03:00:00+01:00"),
        (night("Europe/Berlin", "7h"), "2026-10-25T00:00:00+02:00", "2026-10-25T06:00:00+01:00"),
        (night("America/New_York", "5h"), "2026-03-08T00:00:00-05:00", "2026-03-08T06:00:00-04:00"),
        (night("America/New_York", "7h"), "2026-11-01T00:00:00-04:00", "2026-11-01T06:00:00-05:00"),
        // Over a weekend with a change, the hours stay where the clock on the wall shows them.
        (office("1h"), "2026-03-27T17:00:00+01:00", "2026-03-30T09:30:00+02:00"),
        (office("1h"), "2026-10-23T17:00:00+02:00", "2026-10-26T09:30:00+01:00"),
    ]);
}

#[test]
fn hours_that_the_clocks_leave_out_come_later_by_the_clock_and_count_once() {
    let sunday =
        |hours: Value, needed: &str| calendar("Europe/Berlin", json!({"sun": hours}), needed);
    let midnight = "2026-03-29T00:00:00+01:00";
    check(&[
        (sunday(json!(["02:15-02:45"]), "0s"), midnight, "2026-03-29T03:15:00+02:00"),
        (sunday(json!(["02:15-02:45"]), "30m"), midnight, "2026-03-29T03:45:00+02:00"),
        (sunday(json!(["01:00-02:30"]), "90m"), midnight, "2026-03-29T03:30:00+02:00"),
        // The hour from 02:00 to 03:00 has no time in it.
        (sunday(json!(["02:00-03:00"]), "0s"), midnight, "2026-04-05T02:00:00+02:00"),
        // The first interval lasts until 03:30 of the new time, over the second one's beginning.
        (
            sunday(json!(["01:00-02:30", "03:00-04:00"]), "2h"),
            midnight,
            "2026-03-29T04:00:00+02:00",
        ),
        // The first comes after the second.
        (
            sunday(json!(["02:30-02:45", "03:00-03:15"]), "15m"),
            midnight,
            "2026-03-29T03:15:00+02:00",
        ),
        (
            sunday(json!(["02:30-02:45", "03:00-03:15"]), "20m"),
            midnight,
            "2026-03-29T03:35:00+02:00",
        ),
        // One lies within the other.
        (
            sunday(json!(["01:00-02:55", "03:10-03:20", "04:00-05:00"]), "2h"),
            midnight,
            "2026-03-29T04:05:00+02:00",
        ),
    ]);
}

#[test]
fn of_hours_that_come_twice_the_first_begins_and_the_first_ends() {
    let sunday =
        |hours: Value, needed: &str| calendar("Europe/Berlin", json!({"sun": hours}), needed);
    let midnight = "2026-10-25T00:00:00+02:00";
    check(&[
        (sunday(json!(["01:00-02:30"]), "90m"), midnight, "2026-10-25T02:30:00+02:00"),
        (sunday(json!(["01:00-02:30"]), "91m"), midnight, "2026-11-01T01:01:00+01:00"),
        (sunday(json!(["02:30-04:00"]), "150m"), midnight, "2026-10-25T04:00:00+01:00"),
        // The second time that the clock shows 02:15, it is closed.
        (
            sunday(json!(["02:00-02:30"]), "0s"),
            "2026-10-25T02:15:00+01:00",
            "2026-11-01T02:00:00+01:00",
        ),
    ]);
}

/// Havana's clocks go from 00:00 to 01:00 on Sunday 2026-03-08, and from 01:00 to 00:00 on
/// 2026-11-01; Nuuk's from 22:00 to 23:00 on Saturday 2026-03-28, and from 00:00 on Sunday
/// 2026-10-25 to 23:00 on Saturday.
#[test]
fn the_clocks_may_change_at_midnight() {
    let days = json!({"sat": ["20:00-24:00"], "sun": ["00:00-01:30"]});
    let days = |zone: &str, needed: &str| calendar(zone, days.clone(), needed);
    check(&[
        (days("America/Havana", "270m"), "2026-03-07T20:00:00-05:00", "2026-03-08T01:30:00-04:00"),
        (days("America/Havana", "390m"), "2026-10-31T20:00:00-04:00", "2026-11-01T01:30:00-05:00"),
        (days("America/Nuuk", "3h"), "2026-03-28T20:00:00-02:00", "2026-03-29T00:00:00-01:00"),
        (days("America/Nuuk", "5h"), "2026-10-24T20:00:00-01:00", "2026-10-25T00:00:00-02:00"),
        (days("America/Nuuk", "6h"), "2026-10-24T20:00:00-01:00", "2026-10-25T01:00:00-02:00"),
        // Within the hour that comes twice, the first and the second time.
        (days("America/Nuuk", "0s"), "2026-10-24T23:30:00-01:00", "2026-10-24T23:30:00-01:00"),
        (days("America/Nuuk", "2h"), "2026-10-24T23:30:00-02:00", "2026-10-25T01:30:00-02:00"),
    ]);
}

/// Toronto's clocks went from 23:30 on Sunday 1919-03-30 to 00:30, the only ones that ever left out
/// a midnight from its middle: the hour up to 24:00 lasts until 01:00 of the new time.
#[test]
fn the_clocks_may_leave_out_midnight() {
    let days = json!({"sun": ["23:00-24:00"], "mon": ["00:00-02:00"]});
    let days = |needed: &str| calendar("America/Toronto", days.clone(), needed);
    check(&[
        (days("1h"), "1919-03-30T23:00:00-05:00", "1919-03-31T01:00:00-04:00"),
        (days("0s"), "1919-03-31T00:45:00-04:00", "1919-03-31T00:45:00-04:00"),
        (days("75m"), "1919-03-31T00:45:00-04:00", "1919-03-31T02:00:00-04:00"),
    ]);
}

/// Samoa had no Friday 2011-12-30.
#[test]
fn a_day_may_be_left_out() {
    let hours = json!({"fri": ["09:00-17:00"], "sat": ["10:00-12:00"]});
    let apia = |needed: &str| calendar("Pacific/Apia", hours.clone(), needed);
    check(&[
        (apia("0s"), "2011-12-29T12:00:00-10:00", "2011-12-31T10:00:00+14:00"),
        (apia("3h"), "2011-12-29T12:00:00-10:00", "2012-01-06T10:00:00+14:00"),
    ]);
}

#[test]
fn a_calendar_that_stays_closed_or_opens_too_late_is_refused() {
    let now = "2026-11-22T10:00:00Z";
    let every_day: Vec<String> = (1..=12)
        .flat_map(|month| (1..=31).map(move |day| format!("{month:02}-{day:02}")))
        .filter(|day| format!("2000-{day}").parse::<jiff::civil::Date>().is_ok())
        .collect();
    let closed = |holidays: &[String]| {
        let mut with = calendar("Europe/Berlin", json!({"mon-sun": ["09:00-17:00"]}), "0s");
        with["business"]["holidays"] = json!(holidays);
        with
    };
    assert_eq!(every_day.len(), 366);
    let but_leap_day: Vec<String> =
        every_day.iter().filter(|day| *day != "02-29").cloned().collect();
    let but_christmas: Vec<String> =
        every_day.iter().filter(|day| *day != "12-25").cloned().collect();

    check(&[(closed(&but_christmas), now, "2026-12-25T09:00:00+01:00")]);
    check_refused(&[
        (closed(&every_day), now, "never-opens", "/business"),
        // It opens in 2028, which is later than anybody may wait; after 2096 not before 2104.
        (closed(&but_leap_day), now, "max-wait", "/business"),
        (closed(&but_leap_day), "2096-03-01T00:00:00Z", "never-opens", "/business"),
        (
            calendar("Europe/Berlin", json!({"mon": ["09:00-10:00"]}), "54h"),
            now,
            "max-wait",
            "/business/for",
        ),
        // 5 years of Mondays would not do, but that is not why it is refused.
        (
            calendar("Europe/Berlin", json!({"mon": ["09:00-10:00"]}), "366d"),
            now,
            "max-wait",
            "/business/for",
        ),
        (
            calendar("Europe/Berlin", json!({"mon-sun": ["00:00-23:59"]}), "366d"),
            now,
            "max-wait",
            "/business/for",
        ),
    ]);
    check(&[(
        calendar("Europe/Berlin", json!({"mon": ["09:00-10:00"]}), "53h"),
        now,
        "2027-11-22T10:00:00+01:00",
    )]);
    let error = due(&closed(&but_leap_day), now).unwrap_err();
    assert!(error.message.contains("`max_wait`"), "{error}");
}
