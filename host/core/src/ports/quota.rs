//! The port of quotas: whether a tenant may start more runs and store more. Answered from memory.

use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::quota::OverQuota;

/// What a tenant may still use.
pub trait RunQuotas: Send + Sync {
    /// Whether one more run might start, as far as that is known before it comes. Takes nothing.
    fn check(&self, tenant: TenantId) -> Result<(), OverQuota>;

    /// Lets so many runs start that come as a whole, and counts them. There has to be room for one;
    /// what they take too much is paid off before the next.
    fn admit(&self, tenant: TenantId, runs: u32, now: Timestamp) -> Result<(), OverQuota>;

    /// Whether the tenant may store more.
    fn store_more(&self, tenant: TenantId) -> Result<(), OverQuota>;
}
