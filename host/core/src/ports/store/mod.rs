//! The port of the store, in seven parts: the log of runs, the catalog, who may, reading, the record
//! of what people did, dead letters, and housekeeping.
//!
//! Every method that takes a tenant sees that tenant's rows only. A method that returns `Ok` for a
//! write has made it durable: it survives a power cut.

mod access;
mod catalog;
mod flow;
mod housekeeping;
mod letter;
mod reading;
mod rows;
mod run_log;
mod settle;
mod shares;
mod signal;
mod trail;

pub use access::{Access, QuotaChange, Scope, Tenant, Token, TokenPage, TokenUse};
pub use catalog::{Added, Applied, Catalog, NewPlugin, NewVersion, Plugin, WorkflowVersion};
pub use flow::{Debounce, Lane, Priority, RunLimits, Singleton, Throttle, WhenBusy};
pub use housekeeping::{Housekeeping, SweepCursor, Swept, Vacuumed};
pub use letter::{Letter, LetterBox, LetterCursor, LetterFilter, Letters, NewLetter};
pub use reading::{Cursor, EventView, Page, Reading, RunFilter, RunSummary, RunView};
pub use rows::{EventRow, Parent, RunRow, StepKey, StepRow};
pub use run_log::{
    Accept, Accepted, CancelRequest, Claim, Claimed, ClaimedRun, Ended, Lease, NewEvent, NewRun,
    Open, Opened, RunLog, SUSPECT_CLAIMS, Turns, Wanted, WorkerId,
};
pub use settle::{Call, Journaled, Next, Pause, Settle, StateChange};
pub use shares::Shares;
pub use signal::{Signal, Signalled};
pub use trail::AuditTrail;

use crate::id::RunId;

/// The whole store.
pub trait Store:
    RunLog + Catalog + Access + Reading + AuditTrail + LetterBox + Housekeeping
{
}

impl<T: RunLog + Catalog + Access + Reading + AuditTrail + LetterBox + Housekeeping> Store for T {}

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The run's lease is somebody else's by now. Nothing was written.
    #[error("the lease of {run} was lost; nothing was written")]
    LeaseLost {
        /// The run.
        run: RunId,
    },
    /// A state entry of a plugin was changed by somebody else meanwhile. Nothing was written.
    #[error("the state entry `{key}` of node `{node}` was changed by another run")]
    StateConflict {
        /// Whose state.
        node: String,
        /// Which entry.
        key: String,
    },
    /// Too much is waiting to be written. Try again later.
    #[error("the store is busy: {waiting} writes are waiting (limit {limit})")]
    Busy {
        /// How many wait.
        waiting: usize,
        /// The bound.
        limit: usize,
    },
    /// What had to be computed before the write was not, for lack of room. Nothing was written. Try
    /// again later.
    #[error("too much at once: {0}")]
    Overloaded(String),
    /// Another process holds the database. Nothing was written. Try again later.
    #[error("another process holds the database")]
    Locked,
    /// No space left on the device. Nothing was written.
    #[error("the disk is full; nothing was written")]
    Full,
    /// What is stored can't be read as what it should be.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// What was to be written cannot be: it will be refused again. Nothing was written.
    #[error("the database refuses the write: {0}")]
    Refused(String),
    /// The database cannot be reached. Events and results were not written; of what else was under way it
    /// is not known.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// Events or results may have been written, and the database cannot be asked. Not to be tried again
    /// under the same lease: what has a lease is as if its worker had died.
    #[error("the database cannot be reached to ask whether the write was made: {0}")]
    Unknown(String),
    /// The database failed; it may work again later.
    #[error("the database failed: {0}")]
    Database(String),
}

impl StoreError {
    /// True if the same may work later.
    pub fn passes(&self) -> bool {
        match self {
            Self::Busy { .. }
            | Self::Overloaded(_)
            | Self::Locked
            | Self::Full
            | Self::Unreachable(_)
            | Self::Database(_) => true,
            Self::LeaseLost { .. }
            | Self::StateConflict { .. }
            | Self::Unknown(_)
            | Self::Corrupt(_)
            | Self::Refused(_) => false,
        }
    }
}
