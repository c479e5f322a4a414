//! Connections: set, and what they were before on record.

use tombolo_core::audit::{AuditEntry, ConnectionBefore, connection_put};
use tombolo_core::ports::egress::Connection;

use super::error::Fault;
use super::scope::TenantTx;
use super::text::text;
use super::{audit, queue};
use crate::record::{auth_columns, to_json};
use crate::rows::{self, connections};

/// A connection that is replaced keeps its id. Its pause ends.
pub(super) async fn put(
    tx: &mut TenantTx<'_>,
    put: &Connection,
    entry: Option<&AuditEntry>,
) -> Result<(), Fault> {
    if let Some(entry) = entry {
        record(tx, put, entry.clone()).await?;
    }
    let (auth_name, auth_secret) = auth_columns(&put.auth);
    sqlx::query(
        "INSERT INTO connection (tenant_id, name, id, base_url, auth_kind, auth_name, auth_secret,
           signing, allowed_hosts, limits, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (tenant_id, name) DO UPDATE SET base_url = excluded.base_url,
           auth_kind = excluded.auth_kind, auth_name = excluded.auth_name,
           auth_secret = excluded.auth_secret, signing = excluded.signing,
           allowed_hosts = excluded.allowed_hosts, limits = excluded.limits,
           updated_at = excluded.updated_at, paused_at = NULL, paused_reason = NULL",
    )
    .bind(tx.tenant().0)
    .bind(&put.name)
    .bind(put.id.0)
    .bind(put.base_url.as_deref())
    .bind(put.auth.kind())
    .bind(auth_name.map(text))
    .bind(auth_secret.map(|sealed| sealed.0.as_slice()))
    .bind(put.signing.as_ref().map(|sealed| sealed.0.as_slice()))
    .bind(to_json(&put.allowed_hosts))
    .bind(to_json(&put.limits))
    .bind(put.updated_at.0)
    .execute(tx.sql())
    .await?;
    queue::wake_waiting_for(tx, &put.name, put.updated_at).await?;
    Ok(())
}

/// To be done before it is set; nobody else sets it until this transaction is done.
async fn record(tx: &mut TenantTx<'_>, put: &Connection, entry: AuditEntry) -> Result<(), Fault> {
    let found = sqlx::query(connections!("WHERE tenant_id = $1 AND name = $2 FOR UPDATE"))
        .bind(tx.tenant().0)
        .bind(&put.name)
        .fetch_optional(tx.sql())
        .await?;
    let before = found.as_ref().map(rows::connection);
    let before = match &before {
        None => ConnectionBefore::None,
        Some(Ok(was)) => ConnectionBefore::Was(was),
        // To set it again is how it is mended.
        Some(Err(_)) => ConnectionBefore::Unreadable,
    };
    audit::append(tx, [&connection_put(entry, before, put)]).await
}
