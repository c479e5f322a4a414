//! A business calendar: when it is open, and when so much time of opening hours has passed.
//!
//! Hours are by the clock on the wall, what passes within them is real time.

use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::MAX_WAIT;
use super::error::WaitError;
use super::fields::Fields;
use super::holidays::Holidays;
use super::hours::{Interval, Week};
use super::zone;
use crate::clock::Timestamp;

/// Most intervals of opening hours on one day.
pub const MAX_INTERVALS_PER_DAY: usize = 24;

/// Most holidays of a calendar.
pub const MAX_HOLIDAYS: usize = 1_000;

/// A calendar that stays closed for this long never opens: 5 years.
pub const OPENS_WITHIN: Duration = Duration::from_secs(OPENS_WITHIN_DAYS * 24 * 3600);

/// With a leap day in each year, so that every 5 years are within it.
const OPENS_WITHIN_DAYS: u64 = 5 * 366;

/// When a business is open.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Calendar {
    zone: TimeZone,
    week: Week,
    holidays: Holidays,
}

/// Why a calendar has no time to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// It is open later than [`MAX_WAIT`] from now, or not for long enough until then.
    TooLong,
    /// It stays closed for [`OPENS_WITHIN`].
    Never,
    /// The time is outside what the calendar knows.
    OutOfRange,
}

/// A stretch of real time in which it is open: from `start`, and up to but without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Calendar {
    /// Reads all keys but `for`.
    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, WaitError> {
        let zone = fields.required("time_zone", "\"Europe/Berlin\"")?;
        let hours = fields.required("hours", "{\"mon-fri\": [\"09:00-17:00\"]}")?;
        let holidays = fields.get("holidays");
        Ok(Self {
            zone: zone::parse(zone, &fields.at("time_zone"))?,
            week: Week::parse(hours, &fields.at("hours"))?,
            holidays: holidays
                .map(|holidays| Holidays::parse(holidays, &fields.at("holidays")))
                .transpose()?
                .unwrap_or_default(),
        })
    }

    /// The time at which it has been open for `needed` since `now`; for zero the first time from
    /// now on at which it is open. After more than zero this may be the moment at which it closes.
    pub(super) fn due(&self, now: Timestamp, needed: Duration) -> Result<Timestamp, Closed> {
        let mut left = needed;
        let mut date = self.day_before(now)?;
        for _ in 0..OPENS_WITHIN_DAYS + 2 {
            for opening in self.openings(date)? {
                let start = opening.start.max(now);
                if start >= opening.end {
                    continue;
                }
                if start.since(now) > MAX_WAIT {
                    return Err(Closed::TooLong);
                }
                let lasts = opening.end.since(start);
                if left <= lasts {
                    let due = start.plus(left);
                    return if due.since(now) > MAX_WAIT { Err(Closed::TooLong) } else { Ok(due) };
                }
                left -= lasts;
            }
            date = date.tomorrow().map_err(|_| Closed::OutOfRange)?;
        }
        Err(Closed::Never)
    }

    /// The date from which on to look: where the clocks leave out midnight, what they show first of
    /// a date belongs to the day before.
    fn day_before(&self, now: Timestamp) -> Result<Date, Closed> {
        let time = jiff::Timestamp::from_millisecond(now.0).map_err(|_| Closed::OutOfRange)?;
        self.zone.to_datetime(time).date().yesterday().map_err(|_| Closed::OutOfRange)
    }

    /// The stretches of a date in order, none over another, all between the beginning of the date
    /// and that of the next.
    pub(super) fn openings(&self, date: Date) -> Result<Vec<Opening>, Closed> {
        let intervals = self.week.on(date.weekday());
        if intervals.is_empty() || self.holidays.contains(date) {
            return Ok(Vec::new());
        }
        let day = Opening { start: self.moment(date, 0)?, end: self.moment(date, 24 * 60)? };
        let mut openings = intervals
            .iter()
            .map(|interval| self.opening(date, *interval, day))
            .collect::<Result<Vec<_>, _>>()?;
        // What the clocks leave out moves behind what follows it, or over it.
        openings.sort_by_key(|opening| opening.start);
        let mut until = day.start;
        for opening in &mut openings {
            opening.start = opening.start.max(until);
            until = until.max(opening.end);
        }
        openings.retain(|opening| opening.start < opening.end);
        Ok(openings)
    }

    fn opening(&self, date: Date, interval: Interval, day: Opening) -> Result<Opening, Closed> {
        let moment = |minute| {
            let moment = self.moment(date, minute)?;
            Ok(moment.max(day.start).min(day.end))
        };
        Ok(Opening { start: moment(interval.from)?, end: moment(interval.to)? })
    }

    /// When the clock on the wall shows this minute of the date; 1440 is the beginning of the next.
    /// A time that the clocks leave out or show twice is resolved as in `until`.
    fn moment(&self, date: Date, minute: u16) -> Result<Timestamp, Closed> {
        let out = |_| Closed::OutOfRange;
        let (date, minute) = match minute {
            1440 => (date.tomorrow().map_err(out)?, 0),
            minute => (date, minute),
        };
        let part = |number: u16| i8::try_from(number).map_err(|_| Closed::OutOfRange);
        let time = Time::new(part(minute / 60)?, part(minute % 60)?, 0, 0).map_err(out)?;
        let moment = self.zone.to_timestamp(date.to_datetime(time)).map_err(out)?;
        Ok(Timestamp(moment.as_millisecond()))
    }
}
