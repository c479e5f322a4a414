//! Group commit: writes wait in a bounded channel, and the one writer takes whatever is waiting.
//!
//! Owns the bounds, the channel and the batch. Never talks to a database: each database has a
//! writer that takes batches from here, writes each in one transaction, and answers after commit.
//! There is no timer: while one transaction is flushed, the next batch gathers.

mod batch;
mod channel;
mod command;
mod pending;
mod rare;

pub(crate) use batch::Batch;
pub(crate) use channel::{Waiting, Weighed, Writes, channel};
pub(crate) use command::{
    Cancel, Command, Discard, Forget, Leased, LooseEvents, OpenedLease, Renew, Resume, Revoke,
    SetQuotas, Wait,
};
pub(crate) use pending::Pending;
pub(crate) use rare::Rare;

/// How much may wait to be written, and how much is written at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Writes that may wait. One more is refused with
    /// [`StoreError::Busy`](tombolo_core::ports::store::StoreError::Busy).
    pub waiting: usize,
    /// Bytes that may wait; a write that would go over is refused in the same way, unless nothing
    /// else waits.
    pub waiting_bytes: usize,
    /// Rows in one transaction. One write is never split, so that a batch may hold one write more.
    pub batch_rows: usize,
    /// Bytes in one transaction, in the same sense.
    pub batch_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            waiting: 4096,
            waiting_bytes: 256 * 1024 * 1024,
            batch_rows: 8192,
            batch_bytes: 16 * 1024 * 1024,
        }
    }
}
