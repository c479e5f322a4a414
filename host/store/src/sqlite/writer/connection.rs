//! Connections: set, and what they were before on record.

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, params};
use tombolo_core::audit::{AuditEntry, ConnectionBefore, connection_put};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::ConnectionId;
use tombolo_core::ports::egress::{Connection, Paused};
use tombolo_core::secret::Sealed;
use uuid::Uuid;

use super::{audit, queue};
use crate::record::{auth_columns, auth_from_columns, from_json, id, to_json};
use crate::sqlite::error::Fault;

/// A connection that is replaced keeps its id. Its pause ends.
pub(super) fn put(
    sqlite: &Sqlite,
    put: &Connection,
    entry: Option<&AuditEntry>,
) -> Result<(), Fault> {
    if let Some(entry) = entry {
        record(sqlite, put, entry.clone())?;
    }
    let (auth_name, auth_secret) = auth_columns(&put.auth);
    sqlite.execute(
        "INSERT INTO connection (tenant_id, name, id, base_url, auth_kind, auth_name, auth_secret,
           signing, allowed_hosts, limits, updated_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (tenant_id, name) DO UPDATE SET base_url = excluded.base_url,
           auth_kind = excluded.auth_kind, auth_name = excluded.auth_name,
           auth_secret = excluded.auth_secret, signing = excluded.signing,
           allowed_hosts = excluded.allowed_hosts, limits = excluded.limits,
           updated_at = excluded.updated_at, paused_at = NULL, paused_reason = NULL",
        params![
            id(&put.tenant.0),
            put.name,
            id(&put.id.0),
            put.base_url,
            put.auth.kind(),
            auth_name,
            auth_secret.map(|sealed| sealed.0.as_slice()),
            put.signing.as_ref().map(|sealed| sealed.0.as_slice()),
            to_json(&put.allowed_hosts),
            to_json(&put.limits),
            put.updated_at.0,
        ],
    )?;
    queue::wake_waiting_for(sqlite, (put.tenant, &put.name), put.updated_at)?;
    Ok(())
}

/// To be done before it is set.
fn record(sqlite: &Sqlite, put: &Connection, entry: AuditEntry) -> Result<(), Fault> {
    let before = sqlite
        .query_row(
            "SELECT id, base_url, auth_kind, auth_name, auth_secret, signing, allowed_hosts, limits,
               updated_at, paused_at, paused_reason
             FROM connection WHERE tenant_id = ? AND name = ?",
            params![id(&put.tenant.0), put.name],
            |row| Ok(stored(row, put)),
        )
        .optional()?;
    let before = match &before {
        None => ConnectionBefore::None,
        Some(Ok(was)) => ConnectionBefore::Was(was),
        // To set it again is how it is mended.
        Some(Err(_)) => ConnectionBefore::Unreadable,
    };
    audit::append(sqlite, put.tenant, [&connection_put(entry, before, put)])
}

fn stored(row: &Row<'_>, put: &Connection) -> Result<Connection, Fault> {
    let (kind, hosts, limits): (String, String, String) = (row.get(2)?, row.get(6)?, row.get(7)?);
    let paused_at: Option<i64> = row.get(9)?;
    Ok(Connection {
        id: ConnectionId(Uuid::from_bytes(row.get(0)?)),
        tenant: put.tenant,
        name: put.name.clone(),
        base_url: row.get(1)?,
        auth: auth_from_columns(&kind, row.get(3)?, row.get(4)?)?,
        signing: row.get::<_, Option<Vec<u8>>>(5)?.map(Sealed),
        allowed_hosts: from_json(&hosts, "a connection's hosts")?,
        limits: from_json(&limits, "a connection's limits")?,
        updated_at: Timestamp(row.get(8)?),
        paused: match paused_at {
            Some(at) => {
                let reason: Option<String> = row.get(10)?;
                Some(Paused { at: Timestamp(at), reason: reason.unwrap_or_default() })
            }
            None => None,
        },
    })
}
