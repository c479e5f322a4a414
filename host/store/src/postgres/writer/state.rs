//! State of nodes: compare and set, committed with the step's result or not at all.

use std::collections::HashMap;

use tombolo_core::id::WorkflowId;
use tombolo_core::ports::store::{StateChange, StoreError};

use crate::postgres::error::Fault;
use crate::postgres::scope::TenantTx;
use crate::record::SettleItem;

/// What becomes of an entry.
struct Change<'a> {
    /// The version that is there; 0 for no entry.
    stored: u64,
    version: u64,
    value: &'a str,
}

/// Workflow, node and key.
type Entry<'a> = (WorkflowId, &'a str, &'a str);

/// Makes the changes of a settle if every one of them expects the version that is there, or none of
/// them. A later change of an entry sees what an earlier one of the same settle makes of it.
pub(super) async fn apply(
    tx: &mut TenantTx<'_>,
    item: &SettleItem,
) -> Result<Result<(), StoreError>, Fault> {
    let mut changes: HashMap<Entry<'_>, Change<'_>> = HashMap::new();
    for change in &item.state {
        let entry = (change.workflow, change.node.as_str(), change.write.key.as_str());
        let (stored, version) = match changes.get(&entry) {
            Some(earlier) => (earlier.stored, earlier.version),
            None => {
                let stored = stored_version(tx, change).await?;
                (stored, stored)
            }
        };
        if version != change.write.expected {
            return Ok(Err(StoreError::StateConflict {
                node: change.node.clone(),
                key: change.write.key.clone(),
            }));
        }
        let value = change.write.value.text();
        changes.insert(entry, Change { stored, version: version + 1, value });
    }
    for (entry, change) in changes {
        write(tx, entry, &change).await?;
    }
    Ok(Ok(()))
}

/// 0 for no entry. The entry stays as it is until we are done.
async fn stored_version(tx: &mut TenantTx<'_>, change: &StateChange) -> Result<u64, Fault> {
    let version: Option<i64> = sqlx::query_scalar(
        "SELECT version FROM state
         WHERE tenant_id = $1 AND workflow_id = $2 AND node = $3 AND key = $4 FOR UPDATE",
    )
    .bind(tx.tenant().0)
    .bind(change.workflow.0)
    .bind(&change.node)
    .bind(change.write.key.as_bytes())
    .fetch_optional(tx.sql())
    .await?;
    Ok(version.unwrap_or(0).cast_unsigned())
}

async fn write(
    tx: &mut TenantTx<'_>,
    (workflow, node, key): Entry<'_>,
    change: &Change<'_>,
) -> Result<(), Fault> {
    let written = sqlx::query(
        "INSERT INTO state (tenant_id, workflow_id, node, key, version, value)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (tenant_id, workflow_id, node, key)
           DO UPDATE SET version = excluded.version, value = excluded.value
           WHERE state.version = $7",
    )
    .bind(tx.tenant().0)
    .bind(workflow.0)
    .bind(node)
    .bind(key.as_bytes())
    .bind(change.version.cast_signed())
    .bind(change.value)
    .bind(change.stored.cast_signed())
    .execute(tx.sql())
    .await?;
    // Somebody else has made the entry meanwhile.
    if written.rows_affected() == 1 { Ok(()) } else { Err(Fault::Again) }
}
