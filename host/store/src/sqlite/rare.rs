//! Writes that are few: tenants, tokens, plugins, workflows, connections, taking over leases.

use std::collections::BTreeMap;

use sqlx::{Row, SqliteConnection};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, TenantId, WorkflowId};
use tombolo_core::ports::egress::Connection;
use tombolo_core::ports::store::{Added, Applied, NewPlugin, NewVersion, Tenant, Token};

use super::error::Fault;
use super::payload;
use super::row::{id, id_bytes};
use crate::group::Rare;
use crate::record::{Payload, auth_columns, content_hash, from_json, to_json, unsigned};

/// Writes one of them.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    write: &mut Rare,
) -> Result<(), Fault> {
    match write {
        Rare::TakeOver(pending) => {
            let outcome = take_over(connection, pending.ask).await?;
            pending.set(Ok(outcome));
        }
        Rare::Tenant(pending) => {
            let (tenant, now) = &pending.ask;
            let outcome = ensure_tenant(connection, tenant, *now).await?;
            pending.set(Ok(outcome));
        }
        Rare::Token(pending) => {
            put_token(connection, &pending.ask).await?;
            pending.set(Ok(()));
        }
        Rare::Plugin(pending) => {
            let outcome = add_plugin(connection, &pending.ask).await?;
            pending.set(Ok(outcome));
        }
        Rare::Workflow(pending) => {
            let outcome = apply_workflow(connection, &pending.ask).await?;
            pending.set(Ok(outcome));
        }
        Rare::Connection(pending) => {
            put_connection(connection, &pending.ask).await?;
            pending.set(Ok(()));
        }
    }
    Ok(())
}

/// The owner stays until the next claim, whose epoch fences it.
async fn take_over(connection: &mut SqliteConnection, now: Timestamp) -> Result<u64, Fault> {
    let done = sqlx::query(
        "UPDATE queue SET available_at = min(available_at, ?) WHERE lease_owner IS NOT NULL",
    )
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

async fn ensure_tenant(
    connection: &mut SqliteConnection,
    tenant: &Tenant,
    now: Timestamp,
) -> Result<Tenant, Fault> {
    sqlx::query(
        "INSERT INTO tenant (id, name, created_at) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
    )
    .bind(id_bytes(tenant.id.0))
    .bind(&tenant.name)
    .bind(now.0)
    .execute(&mut *connection)
    .await?;
    let row = sqlx::query("SELECT id FROM tenant WHERE name = ?")
        .bind(&tenant.name)
        .fetch_one(connection)
        .await?;
    Ok(Tenant { id: TenantId(id(&row, 0)?), name: tenant.name.clone() })
}

async fn put_token(connection: &mut SqliteConnection, token: &Token) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO token (hash, tenant_id, id, name, scopes, created_at, expires_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(token.hash.to_vec())
    .bind(id_bytes(token.tenant.0))
    .bind(id_bytes(token.id.0))
    .bind(&token.name)
    .bind(to_json(&token.scopes))
    .bind(token.created_at.0)
    .bind(token.expires_at.map(|time| time.0))
    .execute(connection)
    .await?;
    Ok(())
}

async fn add_plugin(connection: &mut SqliteConnection, plugin: &NewPlugin) -> Result<Added, Fault> {
    let taken = sqlx::query(
        "SELECT hash FROM plugin WHERE tenant_id = ?1 AND (hash = ?2 OR (name = ?3 AND version = ?4))
         ORDER BY hash <> ?2 LIMIT 1",
    )
    .bind(id_bytes(plugin.tenant.0))
    .bind(plugin.hash.0.to_vec())
    .bind(&plugin.descriptor.name)
    .bind(&plugin.descriptor.version)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(row) = taken {
        let by = content_hash(row.try_get(0)?)?;
        return Ok(if by == plugin.hash { Added::Same } else { Added::VersionTaken { by } });
    }
    let component =
        Payload { tenant: plugin.tenant, hash: plugin.hash, bytes: plugin.component.to_vec() };
    payload::insert(connection, &[&component]).await?;
    sqlx::query(
        "INSERT INTO plugin (tenant_id, hash, name, version, descriptor, size, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id_bytes(plugin.tenant.0))
    .bind(plugin.hash.0.to_vec())
    .bind(&plugin.descriptor.name)
    .bind(&plugin.descriptor.version)
    .bind(to_json(&plugin.descriptor))
    .bind(i64::try_from(plugin.component.len()).unwrap_or(i64::MAX))
    .bind(plugin.now.0)
    .execute(connection)
    .await?;
    Ok(Added::New)
}

async fn apply_workflow(
    connection: &mut SqliteConnection,
    new: &NewVersion,
) -> Result<Applied, Fault> {
    let live = sqlx::query(
        "SELECT w.id, v.version, v.definition, v.pins FROM workflow w
         JOIN workflow_version v ON v.tenant_id = w.tenant_id AND v.workflow_id = w.id
           AND v.version = w.live_version
         WHERE w.tenant_id = ? AND w.name = ?",
    )
    .bind(id_bytes(new.tenant.0))
    .bind(&new.name)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = live else {
        return create_workflow(connection, new).await;
    };
    let id = WorkflowId(id(&row, 0)?);
    let live: u32 = unsigned(row.try_get(1)?)?;
    let definition: &str = row.try_get(2)?;
    let pins: BTreeMap<String, ContentHash> = from_json(row.try_get(3)?, "a version's pins")?;
    if definition == new.definition.text() && pins == new.pins {
        return Ok(Applied::Unchanged { id, version: live });
    }
    let last: i64 = sqlx::query_scalar(
        "SELECT max(version) FROM workflow_version WHERE tenant_id = ? AND workflow_id = ?",
    )
    .bind(id_bytes(new.tenant.0))
    .bind(id_bytes(id.0))
    .fetch_one(&mut *connection)
    .await?;
    let version = unsigned::<u32>(last)?.saturating_add(1);
    insert_version(connection, new, id, version).await?;
    sqlx::query("UPDATE workflow SET live_version = ? WHERE tenant_id = ? AND id = ?")
        .bind(i64::from(version))
        .bind(id_bytes(new.tenant.0))
        .bind(id_bytes(id.0))
        .execute(connection)
        .await?;
    Ok(Applied::Created { id, version })
}

async fn create_workflow(
    connection: &mut SqliteConnection,
    new: &NewVersion,
) -> Result<Applied, Fault> {
    sqlx::query("INSERT INTO workflow (tenant_id, id, name, live_version) VALUES (?, ?, ?, 1)")
        .bind(id_bytes(new.tenant.0))
        .bind(id_bytes(new.id.0))
        .bind(&new.name)
        .execute(&mut *connection)
        .await?;
    insert_version(connection, new, new.id, 1).await?;
    Ok(Applied::Created { id: new.id, version: 1 })
}

async fn insert_version(
    connection: &mut SqliteConnection,
    new: &NewVersion,
    id: WorkflowId,
    version: u32,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO workflow_version (tenant_id, workflow_id, version, definition, pins, created_at)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(id_bytes(new.tenant.0))
    .bind(id_bytes(id.0))
    .bind(i64::from(version))
    .bind(new.definition.text())
    .bind(to_json(&new.pins))
    .bind(new.now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// A connection that is replaced keeps its id.
async fn put_connection(connection: &mut SqliteConnection, put: &Connection) -> Result<(), Fault> {
    let (auth_name, auth_secret) = auth_columns(&put.auth);
    sqlx::query(
        "INSERT INTO connection (tenant_id, name, id, base_url, auth_kind, auth_name, auth_secret,
           signing, allowed_hosts, limits, updated_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (tenant_id, name) DO UPDATE SET base_url = excluded.base_url,
           auth_kind = excluded.auth_kind, auth_name = excluded.auth_name,
           auth_secret = excluded.auth_secret, signing = excluded.signing,
           allowed_hosts = excluded.allowed_hosts, limits = excluded.limits,
           updated_at = excluded.updated_at",
    )
    .bind(id_bytes(put.tenant.0))
    .bind(&put.name)
    .bind(id_bytes(put.id.0))
    .bind(put.base_url.as_deref())
    .bind(put.auth.kind())
    .bind(auth_name)
    .bind(auth_secret.map(|sealed| sealed.0.clone()))
    .bind(put.signing.as_ref().map(|sealed| sealed.0.clone()))
    .bind(to_json(&put.allowed_hosts))
    .bind(to_json(&put.limits))
    .bind(put.updated_at.0)
    .execute(connection)
    .await?;
    Ok(())
}
