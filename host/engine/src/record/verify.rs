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
    let heads = store.audit_heads().await?;
    let known = heads.iter().map(|(tenant, _)| *tenant);
    let all: BTreeSet<TenantId> =
        tenants.into_iter().chain(known).chain(history.tenants()).collect();
    let mut verdicts = Vec::with_capacity(all.len());
    for tenant in &all {
        let others = all.iter().copied().filter(|other| other != tenant).collect();
        let mut trail = Trail::new(*tenant, history.of(*tenant), others);
        let head = heads.iter().find(|(of, _)| of == tenant).map(|(_, head)| *head);
        trail.expect(head.unwrap_or(Head::EMPTY), Witness::Head);
        walk(store, *tenant, &mut trail).await?;
        verdicts.push(trail.end(None));
    }
    Ok(verdicts)
}

async fn walk(
    store: &dyn AuditTrail,
    tenant: TenantId,
    trail: &mut Trail,
) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let entries = store.audit_trail(tenant, after, ENTRIES_AT_ONCE).await?;
        if entries.is_empty() {
            return Ok(());
        }
        for stored in entries {
            after = match &stored {
                Stored::Read(chained) => chained.record.seq,
                Stored::Damaged { seq, .. } => seq.unwrap_or(after + 1),
            };
            trail.read(stored);
        }
    }
}
