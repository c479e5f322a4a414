//! Tenants, tokens and quotas: who may, and how much.

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{QuotaChange, Tenant, Token, TokenUse};
use tombolo_core::quota::Quotas;
use uuid::Uuid;

use super::audit;
use crate::group::{Revoke, SetQuotas};
use crate::record::{id, quota_columns, to_json};
use crate::sqlite::error::Fault;

pub(super) fn ensure_tenant(
    sqlite: &Connection,
    tenant: &Tenant,
    now: Timestamp,
) -> Result<Tenant, Fault> {
    sqlite.execute(
        "INSERT INTO tenant (id, name, created_at) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
        params![id(&tenant.id.0), tenant.name, now.0],
    )?;
    let select = "SELECT id FROM tenant WHERE name = ?";
    let first = sqlite.query_row(select, [&tenant.name], |row| row.get(0))?;
    Ok(Tenant { id: TenantId(Uuid::from_bytes(first)), name: tenant.name.clone() })
}

pub(super) fn put_token(
    sqlite: &Connection,
    token: &Token,
    entry: Option<&AuditEntry>,
) -> Result<(), Fault> {
    sqlite.execute(
        "INSERT INTO token (hash, tenant_id, id, name, scopes, created_at, expires_at, prefix,
           last_used_at, revoked_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            token.hash.as_slice(),
            id(&token.tenant.0),
            id(&token.id.0),
            token.name,
            to_json(&token.scopes),
            token.created_at.0,
            token.expires_at.map(|time| time.0),
            token.prefix,
            token.last_used_at.map(|time| time.0),
            token.revoked_at.map(|time| time.0),
        ],
    )?;
    audit::append(sqlite, token.tenant, entry)
}

/// False if there is no such token.
pub(super) fn revoke(sqlite: &Connection, revoke: &Revoke) -> Result<bool, Fault> {
    let Revoke { tenant, token, audit } = revoke;
    let revoked = sqlite.execute(
        "UPDATE token SET revoked_at = ? WHERE tenant_id = ? AND id = ? AND revoked_at IS NULL",
        params![audit.at.0, id(&tenant.0), id(&token.0)],
    )?;
    if revoked > 0 {
        audit::append(sqlite, *tenant, [audit])?;
        return Ok(true);
    }
    let there = sqlite
        .query_row(
            "SELECT 1 FROM token WHERE tenant_id = ? AND id = ?",
            [id(&tenant.0), id(&token.0)],
            |_| Ok(()),
        )
        .optional()?;
    Ok(there.is_some())
}

pub(super) fn touch(sqlite: &Connection, uses: &[TokenUse]) -> Result<(), Fault> {
    let mut update = sqlite.prepare_cached(
        "UPDATE token SET last_used_at = ?1
         WHERE tenant_id = ?2 AND id = ?3 AND coalesce(last_used_at, -1) < ?1",
    )?;
    for one in uses {
        update.execute(params![one.at.0, id(&one.tenant.0), id(&one.token.0)])?;
    }
    Ok(())
}

pub(super) fn set_quotas(sqlite: &Connection, set: &SetQuotas) -> Result<(), Fault> {
    let SetQuotas { tenant, change, audit } = set;
    if !has_quotas(sqlite, *tenant, &change.before)? {
        return Err(Fault::Refused(QuotaChange::OUTDATED.to_owned()));
    }
    replace_quotas(sqlite, *tenant, &change.after)?;
    audit::append(sqlite, *tenant, audit)
}

/// True if the tenant may use this now. Who has no quota has no row.
fn has_quotas(sqlite: &Connection, tenant: TenantId, quotas: &Quotas) -> Result<bool, Fault> {
    let [runs, concurrent, storage, connections] = quota_columns(quotas);
    let has = sqlite.query_row(
        "SELECT CASE WHEN ?6 THEN NOT EXISTS (SELECT 1 FROM quota WHERE tenant_id = ?1)
           ELSE EXISTS (
             SELECT 1 FROM quota WHERE tenant_id = ?1 AND runs_per_minute IS ?2
               AND concurrent_runs IS ?3 AND storage_bytes IS ?4 AND connections IS ?5) END",
        params![id(&tenant.0), runs, concurrent, storage, connections, quotas.is_empty()],
        |row| row.get(0),
    )?;
    Ok(has)
}

fn replace_quotas(sqlite: &Connection, tenant: TenantId, quotas: &Quotas) -> Result<(), Fault> {
    if quotas.is_empty() {
        sqlite.execute("DELETE FROM quota WHERE tenant_id = ?", [id(&tenant.0)])?;
        return Ok(());
    }
    let [runs, concurrent, storage, connections] = quota_columns(quotas);
    sqlite.execute(
        "INSERT OR REPLACE INTO quota
           (tenant_id, runs_per_minute, concurrent_runs, storage_bytes, connections)
         VALUES (?, ?, ?, ?, ?)",
        params![id(&tenant.0), runs, concurrent, storage, connections],
    )?;
    Ok(())
}
