//! How often runs start, by the schedule that both databases share.

use tombolo_core::clock::Timestamp;
use tombolo_core::ports::store::Throttle;

use crate::postgres::error::Fault;
use crate::postgres::scope::TenantTx;
use crate::record::{NS_PER_MS, schedule};

/// Rows deleted with each start that say nothing any more: more than the one that a start adds.
const SWEPT: i64 = 2;

/// When one more run may start, which is on record then.
pub(super) async fn next_start(
    tx: &mut TenantTx<'_>,
    rule: &Throttle,
    now: Timestamp,
) -> Result<Timestamp, Fault> {
    let now_ns = now.0.saturating_mul(NS_PER_MS);
    sweep(tx, now_ns).await?;
    let tat: Option<i64> =
        sqlx::query_scalar("SELECT tat_ns FROM throttle WHERE tenant_id = $1 AND name = $2")
            .bind(tx.tenant().0)
            .bind(&rule.name)
            .fetch_optional(tx.sql())
            .await?;
    let (start, tat) = schedule(rule, tat, now_ns);
    sqlx::query(
        "INSERT INTO throttle (tenant_id, name, tat_ns) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id, name) DO UPDATE SET tat_ns = excluded.tat_ns",
    )
    .bind(tx.tenant().0)
    .bind(&rule.name)
    .bind(tat)
    .execute(tx.sql())
    .await?;
    Ok(start)
}

async fn sweep(tx: &mut TenantTx<'_>, now_ns: i64) -> Result<(), Fault> {
    sqlx::query(
        "DELETE FROM throttle WHERE tenant_id = $1 AND name IN (
           SELECT name FROM throttle WHERE tenant_id = $1 AND tat_ns <= $2
           ORDER BY tat_ns LIMIT $3)",
    )
    .bind(tx.tenant().0)
    .bind(now_ns)
    .bind(SWEPT)
    .execute(tx.sql())
    .await?;
    Ok(())
}
