//! What SQLite says, in the words of the port.

use tombolo_core::ports::store::StoreError;

use crate::record::Damaged;

/// Primary result codes, from <https://www.sqlite.org/rescode.html>.
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const TOO_BIG: i32 = 18;
const CONSTRAINT: i32 = 19;
const MISMATCH: i32 = 20;
const NOT_A_DATABASE: i32 = 26;
const CONSTRAINT_FOREIGN_KEY: i32 = 787;

/// Why statements failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite, or the way there.
    Database(sqlx::Error),
    /// What was read makes no sense.
    Damaged(Damaged),
    /// What was to be written makes no sense.
    Refused(String),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Damaged> for Fault {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged)
    }
}

impl Fault {
    /// True if what was written is to blame, and not the database: the same write fails again, and
    /// others beside it don't.
    pub(super) fn blames_the_write(&self) -> bool {
        match self {
            Self::Database(error) => {
                matches!(primary(error), Some(TOO_BIG | CONSTRAINT | MISMATCH))
            }
            Self::Damaged(_) | Self::Refused(_) => true,
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Damaged(damaged) => Self::Corrupt(damaged.0),
            Fault::Refused(reason) => Self::Database(reason),
            Fault::Database(error) => match (primary(&error), extended(&error)) {
                (Some(FULL), _) => Self::Full,
                (Some(CORRUPT | NOT_A_DATABASE), _) => Self::Corrupt(error.to_string()),
                (_, Some(CONSTRAINT_FOREIGN_KEY)) => Self::Database(
                    "a row names a tenant, workflow or version that is not there".to_owned(),
                ),
                _ => Self::Database(error.to_string()),
            },
        }
    }
}

fn extended(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

fn primary(error: &sqlx::Error) -> Option<i32> {
    extended(error).map(|code| code & 0xff)
}
