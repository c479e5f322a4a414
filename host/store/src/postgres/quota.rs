//! What tenants may use, and what they do use.

use tombolo_core::id::TenantId;
use tombolo_core::quota::Quotas;

use super::error::Fault;
use super::scope::{HostTx, TenantTx};
use crate::record::quota_columns;
use crate::rows;

/// Sets what the tenant may use.
pub(super) async fn set(tx: &mut TenantTx<'_>, quotas: &Quotas) -> Result<(), Fault> {
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
    let rows = sqlx::query(
        "SELECT tenant_id, runs_per_minute, concurrent_runs, storage_bytes, connections
         FROM quota ORDER BY tenant_id",
    )
    .fetch_all(tx.sql())
    .await?;
    Ok(rows.iter().map(rows::quotas).collect::<Result<_, _>>()?)
}

/// Runs that have not ended, by tenant.
pub(super) async fn open_runs(tx: &mut HostTx<'_>) -> Result<Vec<(TenantId, u64)>, Fault> {
    counted(tx, "SELECT tenant_id, count(*) FROM queue GROUP BY tenant_id").await
}

/// Bytes of long texts and components as stored, by tenant. Reads the table and not the long texts:
/// the length of one that is stored apart stands in its row.
pub(super) async fn storage_bytes(tx: &mut HostTx<'_>) -> Result<Vec<(TenantId, u64)>, Fault> {
    counted(tx, "SELECT tenant_id, sum(octet_length(bytes)) FROM payload GROUP BY tenant_id").await
}

async fn counted(tx: &mut HostTx<'_>, query: &'static str) -> Result<Vec<(TenantId, u64)>, Fault> {
    let rows = sqlx::query(query).fetch_all(tx.sql()).await?;
    Ok(rows.iter().map(rows::counted).collect::<Result<_, _>>()?)
}
