//! Housekeeping: what is old goes, and the disk gets its room back. Each call does a bounded part.

use async_trait::async_trait;

use super::StoreError;
use crate::clock::Timestamp;
use crate::id::{ContentHash, TenantId, WorkflowId};

/// Where a sweep goes on: after this payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepCursor {
    /// Its hash.
    pub hash: ContentHash,
    /// Whose it is.
    pub tenant: TenantId,
}

/// What a part of a sweep did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// Payloads that nobody referred to, and that are gone.
    pub deleted: u64,
    /// Where the next part starts; None if this was the last.
    pub next: Option<SweepCursor>,
}

/// What a vacuum did, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vacuumed {
    /// Given back to the disk.
    pub freed_bytes: u64,
    /// Still in the file, and free to be written again.
    pub free_bytes: u64,
}

/// Forgetting and freeing.
#[async_trait]
pub trait Housekeeping: Send + Sync {
    /// Deletes at most `limit` runs of a workflow that ended before that time, the oldest first,
    /// with all that belongs to them, and their events once no run of them is left. Gives how many.
    ///
    /// A run stays while somebody may still need it: as long as a step of it is a dead letter that
    /// nobody has given up, or a run that it called has not ended. A dedupe key goes with its event:
    /// the same event would be new again.
    async fn forget(
        &self,
        workflow: (TenantId, WorkflowId),
        ended_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;

    /// Deletes at most `limit` events of all tenants that started no run and came before that time,
    /// the oldest first. Gives how many. Their dedupe keys go with them.
    async fn forget_events(
        &self,
        received_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;

    /// Deletes at most `limit` notes that a run waits for a paused connection, where the run has
    /// ended. Gives how many.
    async fn forget_waits(&self, limit: u32) -> Result<u64, StoreError>;

    /// Looks at `limit` payloads after `after` (from the start, if None), and deletes those that
    /// nobody refers to any more.
    async fn sweep_payloads(
        &self,
        after: Option<SweepCursor>,
        limit: u32,
    ) -> Result<Swept, StoreError>;

    /// Gives at most so many free pages of the file back to the disk.
    async fn vacuum(&self, pages: u32) -> Result<Vacuumed, StoreError>;
}
