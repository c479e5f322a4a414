//! Days on which it stays closed: dates, and days of every year.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde_json::Value;

use super::MAX_HOLIDAYS;
use super::error::{WaitError, WaitFault};
use super::fields::{list, shown, text};
use crate::json::push_pointer;

/// A leap year: a day that it does not have is in no year.
const LEAP_YEAR: &str = "2000";

/// The holidays of a calendar.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Holidays {
    dates: BTreeSet<Date>,
    /// Month and day.
    yearly: BTreeSet<(i8, i8)>,
}

impl Holidays {
    pub(super) fn parse(value: &Value, pointer: &str) -> Result<Self, WaitError> {
        let items = list(value, pointer, "2026-12-25")?;
        if items.len() > MAX_HOLIDAYS {
            let message =
                format!("these are {} holidays: write at most {MAX_HOLIDAYS}", items.len());
            return Err(WaitError::new(WaitFault::TooManyHolidays, pointer, message));
        }
        let mut holidays = Self::default();
        for (index, item) in items.iter().enumerate() {
            let pointer = push_pointer(pointer, &index.to_string());
            let written = text(item, &pointer, "2026-12-25")?;
            holidays.add(written).ok_or_else(|| {
                let message = format!(
                    "`{}` is no date: write one such as `2026-12-25`, or `12-25` for every year",
                    shown(written)
                );
                WaitError::new(WaitFault::InvalidHoliday, pointer, message)
            })?;
        }
        Ok(holidays)
    }

    /// None if it is no date.
    fn add(&mut self, written: &str) -> Option<()> {
        match written.len() {
            5 => {
                let date = date(&format!("{LEAP_YEAR}-{written}"))?;
                self.yearly.insert((date.month(), date.day()));
            }
            _ => {
                self.dates.insert(date(written)?);
            }
        }
        Some(())
    }

    pub(super) fn contains(&self, date: Date) -> bool {
        self.yearly.contains(&(date.month(), date.day())) || self.dates.contains(&date)
    }
}

/// A date as `2026-12-25` and in no other form that jiff reads.
fn date(text: &str) -> Option<Date> {
    let fits = |(index, c): (usize, u8)| {
        if matches!(index, 4 | 7) { c == b'-' } else { c.is_ascii_digit() }
    };
    let fine = text.len() == 10 && text.bytes().enumerate().all(fits);
    fine.then(|| text.parse().ok())?
}
