//! Opening hours: for each day of the week its intervals, in order and apart.

use jiff::civil::Weekday;
use serde_json::Value;

use super::MAX_INTERVALS_PER_DAY;
use super::error::{WaitError, WaitFault};
use super::fields::{list, object, shown, text};
use crate::json::push_pointer;

/// The days as they are written, from Monday on.
pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

/// A part of a day on which it is open, by the clock on the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    /// Minutes from midnight.
    pub(super) from: u16,
    /// Minutes from midnight, more than `from`; 1440 is the end of the day.
    pub(super) to: u16,
}

/// The opening hours of a week.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Week([Vec<Interval>; 7]);

impl Week {
    pub(super) fn parse(value: &Value, pointer: &str) -> Result<Self, WaitError> {
        let mut days: [Option<(&str, Vec<Interval>)>; 7] = Default::default();
        for (key, intervals) in object(value, pointer)? {
            let at = push_pointer(pointer, key);
            let named = days_of(key).ok_or_else(|| unknown_day(key, &at))?;
            let intervals = parse_day(intervals, &at)?;
            for day in named {
                if let Some((other, _)) = &days[day] {
                    let name = DAYS[day];
                    let message =
                        format!("`{name}` has its hours from `{other}`: name each day once");
                    return Err(WaitError::new(WaitFault::RepeatedDay, at, message));
                }
                days[day] = Some((key, intervals.clone()));
            }
        }
        let week = Self(days.map(|day| day.map(|(_, intervals)| intervals).unwrap_or_default()));
        if week.0.iter().all(Vec::is_empty) {
            let message = "there are no opening hours: write some, such as \
                           `\"mon-fri\": [\"09:00-17:00\"]`";
            return Err(WaitError::new(WaitFault::NeverOpens, pointer, message));
        }
        Ok(week)
    }

    /// The intervals of a day; none if it is closed.
    pub(super) fn on(&self, day: Weekday) -> &[Interval] {
        usize::try_from(day.to_monday_zero_offset())
            .ok()
            .and_then(|index| self.0.get(index))
            .map_or(&[], Vec::as_slice)
    }
}

/// The days that a key names: `mon`, or `mon-fri`, which may go over the end of a week as
/// `sun-thu` does.
fn days_of(key: &str) -> Option<Vec<usize>> {
    let index = |name: &str| DAYS.iter().position(|day| *day == name);
    let Some((first, last)) = key.split_once('-') else {
        return Some(vec![index(key)?]);
    };
    let (first, last) = (index(first)?, index(last)?);
    let further = (last + DAYS.len() - first) % DAYS.len();
    // From a day to itself could be one day or eight.
    (further > 0).then(|| (first..=first + further).map(|day| day % DAYS.len()).collect())
}

fn unknown_day(key: &str, pointer: &str) -> WaitError {
    let message = format!(
        "`{}` is no day: write one of `{}`, or some in a row such as `mon-fri`",
        shown(key),
        DAYS.join("`, `")
    );
    WaitError::new(WaitFault::UnknownKey, pointer, message)
}

fn parse_day(value: &Value, pointer: &str) -> Result<Vec<Interval>, WaitError> {
    let items = list(value, pointer, "09:00-17:00")?;
    if items.len() > MAX_INTERVALS_PER_DAY {
        let message = format!(
            "these are {} intervals of one day: write at most {MAX_INTERVALS_PER_DAY}",
            items.len()
        );
        return Err(WaitError::new(WaitFault::TooManyIntervals, pointer, message));
    }
    let mut intervals: Vec<Interval> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let pointer = push_pointer(pointer, &index.to_string());
        let written = text(item, &pointer, "09:00-17:00")?;
        let interval = parse_interval(written, &pointer)?;
        if intervals.last().is_some_and(|before| before.to > interval.from) {
            let message = format!(
                "`{written}` begins before the interval before it ends: write them in order and \
                 apart"
            );
            return Err(WaitError::new(WaitFault::OverlappingHours, pointer, message));
        }
        intervals.push(interval);
    }
    Ok(intervals)
}

fn parse_interval(written: &str, pointer: &str) -> Result<Interval, WaitError> {
    let minutes = written.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
    let message = match minutes {
        Some((from, to)) if from < to => return Ok(Interval { from, to }),
        Some(_) => format!(
            "`{written}` does not end after it begins: write a night as two intervals, such as \
             `22:00-24:00` and, on the next day, `00:00-06:00`"
        ),
        None => format!(
            "`{}` is no interval of a day: write one such as `09:00-17:30`, from 00:00 to 24:00",
            shown(written)
        ),
    };
    Err(WaitError::new(WaitFault::InvalidHours, pointer, message))
}

/// `09:30` in minutes from midnight.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |text: &str| {
        let fine = text.len() == 2 && text.bytes().all(|c| c.is_ascii_digit());
        fine.then(|| text.parse::<u16>().ok())?
    };
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY_MINUTES).then_some(total)
}
