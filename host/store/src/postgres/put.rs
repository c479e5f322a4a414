//! What people put there: tenants, plugins, versions of workflows; and dead letters that they
//! give up.

use sqlx::Row;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId, WorkflowId};
use tombolo_core::ports::store::{Added, Applied, NewVersion, StepKey, Tenant};
use uuid::Uuid;

use super::error::Fault;
use super::scope::{HostTx, TenantTx};
use super::text::text;
use super::writer::payload;
use super::{audit, open};
use crate::record::{
    LiveVersion, PluginItem, applied_entry, content_hash, from_json, to_json, unsigned,
};

/// Finds the tenant of that name, or makes it.
pub(super) async fn tenant(
    tx: &mut HostTx<'_>,
    tenant: &Tenant,
    now: Timestamp,
) -> Result<Tenant, Fault> {
    open::one_at_a_time(tx).await?;
    open::refuse_part(tx.sql()).await?;
    sqlx::query(
        "INSERT INTO tenant (id, name, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO NOTHING",
    )
    .bind(tenant.id.0)
    .bind(text(&tenant.name))
    .bind(now.0)
    .execute(tx.sql())
    .await?;
    let first: Uuid = sqlx::query_scalar("SELECT id FROM tenant WHERE name = $1")
        .bind(text(&tenant.name))
        .fetch_one(tx.sql())
        .await?;
    Ok(Tenant { id: TenantId(first), name: tenant.name.clone() })
}

/// Adds a plugin; its content hash is its identity.
pub(super) async fn plugin(tx: &mut TenantTx<'_>, item: &PluginItem) -> Result<Added, Fault> {
    let PluginItem { plugin, payload } = item;
    let (name, version) = (&plugin.descriptor.name, &plugin.descriptor.version);
    if let Some(added) = known_plugin(tx, item).await? {
        return Ok(added);
    }
    payload::store(tx, std::iter::once(payload)).await?;
    let inserted = sqlx::query(
        "INSERT INTO plugin (tenant_id, hash, name, version, descriptor, size, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(tx.tenant().0)
    .bind(&plugin.hash.0[..])
    .bind(name)
    .bind(version)
    .bind(text(&to_json(&plugin.descriptor)))
    .bind(i64::try_from(plugin.component.len()).unwrap_or(i64::MAX))
    .bind(plugin.now.0)
    .execute(tx.sql())
    .await?;
    if inserted.rows_affected() == 0 {
        // Somebody else has added one of that name meanwhile.
        return Err(Fault::Again);
    }
    audit::append(tx, &plugin.audit).await?;
    Ok(Added::New)
}

async fn known_plugin(tx: &mut TenantTx<'_>, item: &PluginItem) -> Result<Option<Added>, Fault> {
    let plugin = &item.plugin;
    let taken: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT hash FROM plugin
         WHERE tenant_id = $1 AND (hash = $2 OR (name = $3 AND version = $4))
         ORDER BY hash <> $2 LIMIT 1",
    )
    .bind(tx.tenant().0)
    .bind(&plugin.hash.0[..])
    .bind(&plugin.descriptor.name)
    .bind(&plugin.descriptor.version)
    .fetch_optional(tx.sql())
    .await?;
    let Some(taken) = taken else { return Ok(None) };
    let by = content_hash(&taken)?;
    Ok(Some(if by == plugin.hash { Added::Same } else { Added::VersionTaken { by } }))
}

/// Stores a version and makes it the live one.
pub(super) async fn workflow(tx: &mut TenantTx<'_>, new: &NewVersion) -> Result<Applied, Fault> {
    let Some(live) = live_version(tx, new).await? else {
        let inserted = sqlx::query(
            "INSERT INTO workflow (tenant_id, id, name, live_version) VALUES ($1, $2, $3, 1)
             ON CONFLICT (tenant_id, name) DO NOTHING",
        )
        .bind(tx.tenant().0)
        .bind(new.id.0)
        .bind(&new.name)
        .execute(tx.sql())
        .await?;
        if inserted.rows_affected() == 0 {
            return Err(Fault::Again);
        }
        insert_version(tx, new, new.id, 1).await?;
        audit::append(tx, &applied_entry(new, None, 1)).await?;
        return Ok(Applied::Created { id: new.id, version: 1 });
    };
    let workflow = live.id;
    if live.is(new) {
        return Ok(Applied::Unchanged { id: workflow, version: live.version });
    }
    let last: i64 = sqlx::query_scalar(
        "SELECT max(version) FROM workflow_version WHERE tenant_id = $1 AND workflow_id = $2",
    )
    .bind(tx.tenant().0)
    .bind(workflow.0)
    .fetch_one(tx.sql())
    .await?;
    let version = unsigned::<u32>(last)?.saturating_add(1);
    insert_version(tx, new, workflow, version).await?;
    sqlx::query("UPDATE workflow SET live_version = $3 WHERE tenant_id = $1 AND id = $2")
        .bind(tx.tenant().0)
        .bind(workflow.0)
        .bind(i64::from(version))
        .execute(tx.sql())
        .await?;
    audit::append(tx, &applied_entry(new, Some(&live), version)).await?;
    Ok(Applied::Created { id: workflow, version })
}

/// Nobody else changes the workflow until we are done.
async fn live_version(
    tx: &mut TenantTx<'_>,
    new: &NewVersion,
) -> Result<Option<LiveVersion>, Fault> {
    let row = sqlx::query(
        "SELECT w.id, v.version, v.definition, v.pins FROM workflow w
         JOIN workflow_version v ON v.tenant_id = w.tenant_id AND v.workflow_id = w.id
           AND v.version = w.live_version
         WHERE w.tenant_id = $1 AND w.name = $2 FOR UPDATE OF w",
    )
    .bind(tx.tenant().0)
    .bind(&new.name)
    .fetch_optional(tx.sql())
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(LiveVersion {
        id: WorkflowId(row.try_get(0)?),
        version: unsigned(row.try_get(1)?)?,
        definition: row.try_get(2)?,
        pins: from_json(row.try_get(3)?, "a version's pins")?,
    }))
}

async fn insert_version(
    tx: &mut TenantTx<'_>,
    new: &NewVersion,
    workflow: WorkflowId,
    version: u32,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO workflow_version
           (tenant_id, workflow_id, version, definition, pins, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(tx.tenant().0)
    .bind(workflow.0)
    .bind(i64::from(version))
    .bind(new.definition.text())
    .bind(to_json(&new.pins))
    .bind(new.now.0)
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Gives a dead letter up. False if there is none that waits.
pub(super) async fn discarded(
    tx: &mut TenantTx<'_>,
    (run, step): (RunId, &StepKey),
    reason: &str,
    entry: &AuditEntry,
) -> Result<bool, Fault> {
    let given_up = sqlx::query(
        "UPDATE dead_letter SET discarded_at = $5, discard_reason = $6
         WHERE tenant_id = $1 AND run_id = $2 AND node = $3 AND item = $4
           AND discarded_at IS NULL",
    )
    .bind(tx.tenant().0)
    .bind(run.0)
    .bind(text(&step.node))
    .bind(i64::from(step.item))
    .bind(entry.at.0)
    .bind(text(reason))
    .execute(tx.sql())
    .await?;
    if given_up.rows_affected() > 0 {
        audit::append(tx, [entry]).await?;
    }
    Ok(given_up.rows_affected() > 0)
}
