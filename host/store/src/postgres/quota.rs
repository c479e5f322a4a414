//! What tenants may use, and what they do use.

use tombolo_core::audit::AuditEntry;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::QuotaChange;
use tombolo_core::quota::Quotas;
use uuid::Uuid;

use super::audit;
use super::error::Fault;
use super::scope::{HostTx, TenantTx};
use crate::record::quota_columns;
use crate::rows;

macro_rules! quotas {
    () => {
        "SELECT tenant_id, runs_per_minute, concurrent_runs, storage_bytes, connections FROM quota"
    };
}

/// Sets what the tenant may use. Who puts it on record has the end of the record from here on, so that
/// nobody else changes it at the same time.
pub(super) async fn set(
    tx: &mut TenantTx<'_>,
    change: QuotaChange,
    audit: Option<&AuditEntry>,
) -> Result<(), Fault> {
    audit::append(tx, audit).await?;
    let stored = sqlx::query(concat!(quotas!(), " WHERE tenant_id = $1"))
        .bind(tx.tenant().0)
        .fetch_optional(tx.sql())
        .await?;
    let stored = stored.as_ref().map(rows::quotas).transpose()?;
    if stored.map(|(_, quotas)| quotas).unwrap_or_default() != change.before {
        return Err(Fault::Refused(QuotaChange::OUTDATED.to_owned()));
    }
    replace(tx, &change.after).await
}

async fn replace(tx: &mut TenantTx<'_>, quotas: &Quotas) -> Result<(), Fault> {
    if quotas.is_empty() {
        sqlx::query("DELETE FROM quota WHERE tenant_id = $1")
            .bind(tx.tenant().0)
            .execute(tx.sql())
            .await?;
        return Ok(());
    }
    let [runs, concurrent, storage, connections] = quota_columns(quotas);
    sqlx::query(
        "INSERT INTO quota
           (tenant_id, runs_per_minute, concurrent_runs, storage_bytes, connections)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id) DO UPDATE SET runs_per_minute = excluded.runs_per_minute,
           concurrent_runs = excluded.concurrent_runs, storage_bytes = excluded.storage_bytes,
           connections = excluded.connections",
    )
    .bind(tx.tenant().0)
    .bind(runs)
    .bind(concurrent)
    .bind(storage)
    .bind(connections)
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// The quotas of every tenant that has one.
pub(super) async fn all(tx: &mut HostTx<'_>) -> Result<Vec<(TenantId, Quotas)>, Fault> {
    let rows = sqlx::query(concat!(quotas!(), " ORDER BY tenant_id")).fetch_all(tx.sql()).await?;
    Ok(rows.iter().map(rows::quotas).collect::<Result<_, _>>()?)
}

/// Runs that have not ended. Each tenant's are found by a step in the index `queue_turn` for each
/// priority, as whose turn it is is found there.
pub(super) async fn open_runs(
    tx: &mut HostTx<'_>,
    of: &[(TenantId, u64)],
) -> Result<Vec<(TenantId, u64)>, Fault> {
    let (tenants, most): (Vec<Uuid>, Vec<i64>) = of
        .iter()
        .map(|(tenant, most)| (tenant.0, i64::try_from(*most).unwrap_or(i64::MAX)))
        .unzip();
    // As in a claim.
    sqlx::query("SET LOCAL enable_sort = off").execute(tx.sql()).await?;
    sqlx::query("SET LOCAL enable_incremental_sort = off").execute(tx.sql()).await?;
    let rows = sqlx::query(
        "SELECT wanted.tenant, count(*) FROM unnest($1::uuid[], $2::bigint[]) AS wanted (tenant, most)
         CROSS JOIN LATERAL (
           SELECT 1 FROM unnest(ARRAY[0, 1, 2]::smallint[]) AS of (priority)
           CROSS JOIN LATERAL (
             SELECT 1 FROM queue
             WHERE (priority, tenant_id) >= (of.priority, wanted.tenant)
               AND (priority, tenant_id) <= (of.priority, wanted.tenant)
             ORDER BY priority, tenant_id, available_at LIMIT wanted.most) AS one
           LIMIT wanted.most) AS open
         GROUP BY wanted.tenant",
    )
    .bind(tenants)
    .bind(most)
    .fetch_all(tx.sql())
    .await?;
    Ok(rows.iter().map(rows::counted).collect::<Result<_, _>>()?)
}

/// Bytes of long texts and components as stored. The texts are not read: the length of one that is stored
/// apart stands in its row.
pub(super) async fn storage_bytes(
    tx: &mut HostTx<'_>,
    of: &[TenantId],
) -> Result<Vec<(TenantId, u64)>, Fault> {
    let rows = sqlx::query(
        "SELECT wanted.tenant, stored.bytes FROM unnest($1::uuid[]) AS wanted (tenant)
         CROSS JOIN LATERAL (
           SELECT sum(octet_length(bytes)) AS bytes FROM payload WHERE tenant_id = wanted.tenant) AS stored
         WHERE stored.bytes IS NOT NULL",
    )
    .bind(of.iter().map(|tenant| tenant.0).collect::<Vec<Uuid>>())
    .fetch_all(tx.sql())
    .await?;
    Ok(rows.iter().map(rows::counted).collect::<Result<_, _>>()?)
}
