//! Checking the records in a store.

use std::collections::BTreeSet;

use tombolo_core::audit::{CheckpointHistory, Head, Stored, Trail, Verdict, Witness};
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{AuditTrail, StoreError};

use super::ENTRIES_AT_ONCE;

/// Walks along the records of these tenants, of all that the store knows an end of, and of all that
/// have a checkpoint. Entries that come meanwhile are no harm.
///
/// # Errors
/// If the store cannot be read. What is wrong with a record is no error.
pub async fn verify_record(
    store: &dyn AuditTrail,
    tenants: Vec<TenantId>,
    history: &CheckpointHistory,
) -> Result<Vec<Verdict>, StoreError> {
    let known = match store.audit_heads().await {
        Ok(heads) => heads.into_iter().map(|(tenant, _)| tenant).collect(),
        // Whose it is comes out below.
        Err(StoreError::Corrupt(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    let all: BTreeSet<TenantId> =
        tenants.into_iter().chain(known).chain(history.tenants()).collect();
    let mut verdicts = Vec::with_capacity(all.len());
    for tenant in &all {
        let others = all.iter().copied().filter(|other| other != tenant).collect();
        let mut trail = Trail::new(*tenant, history.of(*tenant), others);
        match head(store, *tenant).await? {
            Ok(head) => {
                trail.expect(head, Witness::Head);
                walk(store, *tenant, &mut trail).await?;
                // It moves with each entry that comes meanwhile.
                if head.seq < trail.last()
                    && let Ok(later) = self::head(store, *tenant).await?
                {
                    trail.noted(later);
                }
            }
            Err(why) => {
                trail.head_is_damaged(why);
                walk(store, *tenant, &mut trail).await?;
            }
        }
        verdicts.push(trail.end(None));
    }
    Ok(verdicts)
}

/// The database's own note of the end. The inner result says why it cannot be read.
async fn head(
    store: &dyn AuditTrail,
    tenant: TenantId,
) -> Result<Result<Head, String>, StoreError> {
    match store.audit_head(tenant).await {
        Ok(head) => Ok(Ok(head.unwrap_or(Head::EMPTY))),
        Err(StoreError::Corrupt(why)) => Ok(Err(why)),
        Err(error) => Err(error),
    }
}

async fn walk(
    store: &dyn AuditTrail,
    tenant: TenantId,
    trail: &mut Trail,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let entries = store.audit_trail(tenant, after, ENTRIES_AT_ONCE).await?;
        if entries.is_empty() {
            return Ok(());
        }
        for stored in entries {
            let last = after.unwrap_or(0);
            after = Some(match &stored {
                Stored::Read(chained) => chained.record.seq,
                Stored::Damaged { seq, .. } => seq.unwrap_or(last + 1),
            });
            trail.read(stored);
        }
    }
}
