//! What SQLite says, in the words of the port.

use tombolo_core::ports::store::StoreError;

use crate::record::Damaged;
use crate::rows::ReadFault;

/// Primary result codes, from <https://www.sqlite.org/rescode.html>.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const TOO_BIG: i32 = 18;
const CONSTRAINT: i32 = 19;
const MISMATCH: i32 = 20;
const NOT_A_DATABASE: i32 = 26;
const CONSTRAINT_FOREIGN_KEY: i32 = 787;
const IOERR_FSYNC: i32 = 1034;
/// The map of the log cannot grow; as the list above says, for want of space.
const IOERR_SHMSIZE: i32 = 4874;

/// Why statements failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite, or the way there, while reading.
    Reading(sqlx::Error),
    /// SQLite, while writing.
    Writing(rusqlite::Error),
    /// What was read makes no sense.
    Damaged(Damaged),
    /// What was to be written makes no sense.
    Refused(String),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Reading(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Writing(error)
    }
}

impl From<Damaged> for Fault {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged)
    }
}

impl From<ReadFault> for Fault {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::Database(error) => Self::Reading(error),
            ReadFault::Damaged(damaged) => Self::Damaged(damaged),
        }
    }
}

impl Fault {
    /// True if what was written is to blame, and not the database: the same write fails again, and
    /// others beside it don't.
    pub(super) fn blames_the_write(&self) -> bool {
        match self {
            Self::Damaged(_) | Self::Refused(_) => true,
            Self::Reading(_) | Self::Writing(_) => {
                let primary = self.code().map(|code| code & 0xff);
                matches!(primary, Some(TOO_BIG | CONSTRAINT | MISMATCH))
            }
        }
    }

    /// True if a flush failed: what it was to write may be dropped, and no later flush tells.
    pub(super) fn is_failed_flush(&self) -> bool {
        self.code() == Some(IOERR_FSYNC)
    }

    /// SQLite's extended result code.
    fn code(&self) -> Option<i32> {
        match self {
            Self::Reading(error) => error.as_database_error()?.code()?.parse().ok(),
            Self::Writing(error) => Some(error.sqlite_error()?.extended_code),
            Self::Damaged(_) | Self::Refused(_) => None,
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let code = fault.code();
        let refused = fault.blames_the_write();
        let text = match fault {
            Fault::Damaged(damaged) => return Self::Corrupt(damaged.0),
            Fault::Refused(reason) => return Self::Refused(reason),
            Fault::Reading(error) => error.to_string(),
            Fault::Writing(error) => error.to_string(),
        };
        match code.map(|code| (code & 0xff, code)) {
            Some((FULL, _) | (_, IOERR_SHMSIZE)) => Self::Full,
            Some((CORRUPT | NOT_A_DATABASE, _)) => Self::Corrupt(text),
            Some((BUSY | LOCKED, _)) => Self::Locked,
            Some((_, CONSTRAINT_FOREIGN_KEY)) => Self::Refused(
                "a row names a tenant, workflow or version that is not there".to_owned(),
            ),
            _ if refused => Self::Refused(text),
            _ => Self::Database(text),
        }
    }
}
