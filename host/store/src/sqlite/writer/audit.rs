//! What people did: appended to the chain of their tenant, never changed.

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::audit::{AuditEntry, Head};
use tombolo_core::id::TenantId;

use crate::record::{AuditRow, audit_head, id};
use crate::sqlite::error::Fault;

/// Appends the entries in the order given.
pub(in crate::sqlite) fn append<'a>(
    connection: &Connection,
    tenant: TenantId,
    entries: impl IntoIterator<Item = &'a AuditEntry>,
) -> Result<(), Fault> {
    let mut end = None;
    for entry in entries {
        let head = match end {
            Some(head) => head,
            None => head(connection, tenant)?,
        };
        let behind = AuditRow::behind(head, tenant, entry.clone());
        let (row, head) = behind.map_err(|refused| Fault::Refused(refused.to_string()))?;
        insert(connection, tenant, &row)?;
        end = Some(head);
    }
    Ok(())
}

/// There is one writer: nobody else appends meanwhile.
fn head(connection: &Connection, tenant: TenantId) -> Result<Head, Fault> {
    let found: Option<(i64, Vec<u8>)> = connection
        .prepare_cached("SELECT seq, hash FROM audit_head WHERE tenant_id = ?")?
        .query_row([id(&tenant.0)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((seq, hash)) => Ok(audit_head(seq, &hash)?),
        None => Ok(Head::EMPTY),
    }
}

/// The head follows by a trigger.
fn insert(connection: &Connection, tenant: TenantId, row: &AuditRow) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO audit (tenant_id, seq, prev_hash, hash, at, actor, action, subject, detail,
               correlation_id)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id(&tenant.0),
            row.seq,
            row.prev,
            row.hash,
            row.at,
            row.actor,
            row.action,
            row.subject,
            row.detail,
            row.correlation_id,
        ])?;
    Ok(())
}
