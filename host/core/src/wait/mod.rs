//! The built-in node `wait`: its parameters, and the time at which it is due.
//!
//! Pure: the time is passed in, and time zones come from the database that is compiled in.
//! Never waits: who parks a run is the engine.

mod calendar;
mod error;
mod fields;
mod holidays;
mod hours;
mod schema;
#[cfg(test)]
mod tests;
mod until;
mod zone;

use std::time::Duration;

use serde_json::Value;

use self::calendar::{Calendar, Closed};
pub use self::calendar::{MAX_HOLIDAYS, MAX_INTERVALS_PER_DAY, OPENS_WITHIN};
pub use self::error::{WaitError, WaitFault};
use self::fields::Fields;
pub use self::schema::wait_schema;
use crate::clock::Timestamp;

/// The longest that one step waits, from the time at which it starts: the limit `max_wait`.
pub const MAX_WAIT: Duration = Duration::from_secs(366 * 24 * 3600);

/// What a `wait` node waits for: its parameters, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitSpec(Way);

/// The three ways to wait.
#[derive(Debug, Clone, PartialEq)]
enum Way {
    /// This long.
    For(Duration),
    /// Until this time.
    Until(Timestamp),
    /// So much time of opening hours; none: until it is open.
    Business { calendar: Box<Calendar>, needed: Duration },
}

impl WaitSpec {
    /// Reads a node's parameters, all expressions resolved.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn parse(with: &Value) -> Result<Self, WaitError> {
        let fields = Fields::read(with, "", &["for", "until", "time_zone", "business"])?;
        let way = match (fields.get("for"), fields.get("until"), fields.get("business")) {
            (Some(_), None, None) => Way::For(fields.duration("for")?),
            (None, Some(_), None) => return Ok(Self(Way::Until(until::parse(&fields)?))),
            (None, None, Some(business)) => Self::business(business)?,
            _ => {
                let message = "give one of `for`, `until` and `business`, and only one";
                return Err(WaitError::new(WaitFault::NotOneWay, "", message));
            }
        };
        match fields.get("time_zone") {
            None => Ok(Self(way)),
            Some(_) => {
                let message = "`time_zone` goes with a local time in `until`: leave it out here; \
                               that of `business` stands inside it";
                Err(WaitError::new(WaitFault::ExtraTimeZone, fields.at("time_zone"), message))
            }
        }
    }

    fn business(value: &Value) -> Result<Way, WaitError> {
        let fields = Fields::read(value, "/business", &["time_zone", "hours", "holidays", "for"])?;
        let calendar = Box::new(Calendar::parse(&fields)?);
        Ok(Way::Business { calendar, needed: fields.duration("for")? })
    }

    /// When a step that starts to wait at `now` is due: never before `now`; a time that is past
    /// already is due at once.
    ///
    /// # Errors
    /// If that is later than [`MAX_WAIT`] from now, or if the calendar stays closed for
    /// [`OPENS_WITHIN`].
    pub fn due(&self, now: Timestamp) -> Result<Timestamp, WaitError> {
        match &self.0 {
            Way::For(duration) => Ok(now.plus(*duration)),
            Way::Until(time) if time.since(now) > MAX_WAIT => {
                let message = format!(
                    "{time} is more than 366d away, the limit `max_wait`: write a time before {}",
                    now.plus(MAX_WAIT)
                );
                Err(WaitError::new(WaitFault::MaxWait, "/until", message))
            }
            Way::Until(time) => Ok((*time).max(now)),
            Way::Business { calendar, needed } => {
                calendar.due(now, *needed).map_err(|closed| explain(closed, *needed))
            }
        }
    }
}

/// A calendar's answer in words, at the place to change.
fn explain(closed: Closed, needed: Duration) -> WaitError {
    match closed {
        Closed::TooLong if needed.is_zero() => WaitError::new(
            WaitFault::MaxWait,
            "/business",
            "it does not open within 366d, the limit `max_wait`: write earlier `hours` or fewer \
             `holidays`",
        ),
        Closed::TooLong => WaitError::new(
            WaitFault::MaxWait,
            "/business/for",
            "so much time of opening hours takes more than 366d, the limit `max_wait`: write a \
             shorter `for` or longer `hours`",
        ),
        Closed::Never => WaitError::new(
            WaitFault::NeverOpens,
            "/business",
            "it stays closed for 5 years: write more `hours` or fewer `holidays`",
        ),
        Closed::OutOfRange => WaitError::new(
            WaitFault::OutOfRange,
            "/business",
            "a calendar is known from the year -9999 to 9999: set this machine's clock",
        ),
    }
}
