//! State of nodes: compare and set, committed with the step's result or not at all.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::id::WorkflowId;
use tombolo_core::ports::store::{StateChange, StoreError};

use crate::record::{SettleItem, id};
use crate::sqlite::error::Fault;

/// New versions and values.
type Changes<'a> = HashMap<Entry<'a>, (u64, &'a str)>;

/// Workflow, node and key.
type Entry<'a> = (WorkflowId, &'a str, &'a str);

/// The changes of a settle, if every one of them expects the version that is there. A later change
/// of an entry sees what an earlier one of the same settle makes of it.
pub(super) fn check<'a>(
    connection: &Connection,
    item: &'a SettleItem,
) -> Result<Result<Changes<'a>, StoreError>, Fault> {
    let mut changes = Changes::new();
    for change in &item.state {
        let entry = (change.workflow, change.node.as_str(), change.write.key.as_str());
        let version = match changes.get(&entry) {
            Some((version, _)) => *version,
            None => stored_version(connection, item, change)?,
        };
        if version != change.write.expected {
            return Ok(Err(StoreError::StateConflict {
                node: change.node.clone(),
                key: change.write.key.clone(),
            }));
        }
        changes.insert(entry, (version + 1, change.write.value.text()));
    }
    Ok(Ok(changes))
}

/// 0 for no entry.
fn stored_version(
    connection: &Connection,
    item: &SettleItem,
    change: &StateChange,
) -> Result<u64, Fault> {
    let version: Option<i64> = connection
        .prepare_cached(
            "SELECT version FROM state
             WHERE tenant_id = ? AND workflow_id = ? AND node = ? AND key = ?",
        )?
        .query_row(
            params![id(&item.tenant.0), id(&change.workflow.0), change.node, change.write.key],
            |row| row.get(0),
        )
        .optional()?;
    Ok(version.unwrap_or(0).cast_unsigned())
}

/// Writes what [`check`] allowed.
pub(super) fn write(
    connection: &Connection,
    item: &SettleItem,
    changes: &Changes<'_>,
) -> Result<(), Fault> {
    for ((workflow, node, key), (version, value)) in changes {
        connection
            .prepare_cached(
                "INSERT INTO state (tenant_id, workflow_id, node, key, version, value)
                 VALUES (?, ?, ?, ?, ?, ?)
                 ON CONFLICT (tenant_id, workflow_id, node, key)
                   DO UPDATE SET version = excluded.version, value = excluded.value",
            )?
            .execute(params![
                id(&item.tenant.0),
                id(&workflow.0),
                node,
                key,
                version.cast_signed(),
                value,
            ])?;
    }
    Ok(())
}
