//! What people did: appended, never changed.

use rusqlite::{Connection, params};
use tombolo_core::audit::AuditEntry;
use tombolo_core::id::TenantId;

use crate::record::id;
use crate::sqlite::error::Fault;

/// Appends the entries in the order given.
pub(super) fn append(
    connection: &Connection,
    tenant: TenantId,
    entries: &[AuditEntry],
) -> Result<(), Fault> {
    for entry in entries {
        connection
            .prepare_cached(
                "INSERT INTO audit (tenant_id, at, actor, action, subject, detail)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                id(&tenant.0),
                entry.at.0,
                entry.actor.0,
                entry.action,
                entry.subject,
                entry.detail.to_string(),
            ])?;
    }
    Ok(())
}
