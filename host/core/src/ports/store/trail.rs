//! The record of what people did, as the chain that it is: for those who check it.

use async_trait::async_trait;

use super::StoreError;
use crate::audit::{AuditHash, Head, Stored};
use crate::id::TenantId;

/// The record in its order, as it is stored. Nothing of it is checked here: that is
/// [`Trail`](crate::audit::Trail)'s.
#[async_trait]
pub trait AuditTrail: Send + Sync {
    /// Where the record of every tenant ends, by the database's own note; of those with entries.
    async fn audit_heads(&self) -> Result<Vec<(TenantId, Head)>, StoreError>;

    /// Where the record of a tenant ends, by the same note; None if there is none.
    async fn audit_head(&self, tenant: TenantId) -> Result<Option<Head>, StoreError>;

    /// The entries numbered above `after`, in their order, at most `limit`. One that cannot be read
    /// is among them with its number. Without `after` also what somebody has put before the first.
    async fn audit_trail(
        &self,
        tenant: TenantId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Stored>, StoreError>;

    /// Number and hash of the same entries.
    async fn audit_leaves(
        &self,
        tenant: TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, AuditHash)>, StoreError>;
}
