//! What PostgreSQL says, in the words of the port.

use tombolo_core::ports::store::StoreError;

use crate::record::Damaged;
use crate::rows::ReadFault;

/// SQLSTATE codes, from <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
const DISK_FULL: &str = "53100";
const DEADLOCK: &str = "40P01";
const SERIALIZATION: &str = "40001";
const LOCK_TIMEOUT: &str = "55P03";
/// Data exceptions, integrity constraint violations, and values over a limit of the server.
const THE_WRITE: [&str; 3] = ["22", "23", "54"];
/// Connection exceptions, and the server stopping or starting.
const GONE: [&str; 4] = ["08", "57P01", "57P02", "57P03"];

/// Why statements failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// PostgreSQL, or the way there.
    Database(sqlx::Error),
    /// What was read makes no sense.
    Damaged(Damaged),
    /// What was to be written makes no sense.
    Refused(String),
    /// Somebody else changed what this was built on; from the start it may go.
    Again,
    /// It may have been made, and the database does not say.
    Unknown(String),
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

impl From<ReadFault> for Fault {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::Database(error) => Self::Database(error),
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
            Self::Again | Self::Unknown(_) => false,
            Self::Database(_) => self.has_code(&THE_WRITE),
        }
    }

    /// True if the transaction met another one, was rolled back, and may go if it is tried again.
    pub(super) fn may_go_again(&self) -> bool {
        matches!(self, Self::Again) || self.has_code(&[DEADLOCK, SERIALIZATION, LOCK_TIMEOUT])
    }

    /// True if the connection is lost: nobody has said what became of a commit under way.
    pub(super) fn lost_the_connection(&self) -> bool {
        match self {
            Self::Database(
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::BeginFailed
                | sqlx::Error::WorkerCrashed,
            ) => true,
            _ => self.has_code(&GONE),
        }
    }

    /// True if another connection may do what this one did not: a pool from which none came in time has
    /// none.
    pub(super) fn is_of_one_connection(&self) -> bool {
        self.lost_the_connection() && !matches!(self, Self::Database(sqlx::Error::PoolTimedOut))
    }

    fn has_code(&self, prefixes: &[&str]) -> bool {
        let Self::Database(error) = self else { return false };
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        code.is_some_and(|code| prefixes.iter().any(|prefix| code.starts_with(prefix)))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let (refused, again) = (fault.blames_the_write(), fault.may_go_again());
        let (full, unreachable) = (fault.has_code(&[DISK_FULL]), fault.lost_the_connection());
        match fault {
            Fault::Damaged(damaged) => Self::Corrupt(damaged.0),
            Fault::Refused(reason) => Self::Refused(reason),
            Fault::Again => Self::Locked,
            Fault::Unknown(why) => Self::Unknown(why),
            Fault::Database(_) if full => Self::Full,
            Fault::Database(_) if again => Self::Locked,
            Fault::Database(error) if unreachable => Self::Unreachable(error.to_string()),
            Fault::Database(error) if refused => Self::Refused(error.to_string()),
            Fault::Database(error) => Self::Database(error.to_string()),
        }
    }
}
