//! The record of a file from before it was a chain.

use rusqlite::Connection;
use serde_json::{Value, json};
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use uuid::Uuid;

use super::error::Fault;
use super::writer::append_audit;

/// Tells whether entries are to be chained still: all of them are, or none.
pub(super) const UNCHAINED: &str =
    "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'audit_before')";

/// Chains all entries in their order: SQLite cannot hash, so the migration did not.
pub(super) fn fill(connection: &mut Connection) -> Result<(), Fault> {
    let transaction = connection.transaction()?;
    {
        let mut entries = transaction.prepare(
            "SELECT tenant_id, at, actor, action, subject, detail FROM audit_before ORDER BY id",
        )?;
        let mut rows = entries.query([])?;
        while let Some(row) = rows.next()? {
            let tenant = TenantId(Uuid::from_bytes(row.get(0)?));
            let detail: String = row.get(5)?;
            let entry = AuditEntry {
                at: Timestamp(row.get(1)?),
                actor: Actor(row.get(2)?),
                action: row.get(3)?,
                subject: row.get(4)?,
                detail: read(&detail),
                correlation_id: None,
            };
            append_audit(&transaction, tenant, [&entry])?;
        }
    }
    transaction.execute("DROP TABLE audit_before", [])?;
    Ok(transaction.commit()?)
}

/// What cannot be read is kept as it stands: it is no reason not to start.
fn read(detail: &str) -> Value {
    serde_json::from_str(detail).unwrap_or_else(|_| json!({ "unreadable": detail }))
}
