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

    /// The entries numbered above `after`, in their order, at most `limit`. One that cannot be read
    /// is among them with its number.
    async fn audit_trail(
        &self,
        tenant: TenantId,
        after: u64,
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
