//! The clock was set back: what was due by the old time is due now, and who waits for a time that was
//! counted from an old one waits as long as before.

use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;

use super::error::Fault;
use super::scope::{HostTx, TenantTx};
use crate::record::{NEVER, NS_PER_MS};

/// Makes up for a jump from `from` to `now` of what the host sees, and gives how many runs are due by
/// that.
///
/// Times that workflows and people have named stay: of deadlines, of retries, of waits.
pub(super) async fn queue(
    tx: &mut HostTx<'_>,
    (from, now): (Timestamp, Timestamp),
) -> Result<u64, Fault> {
    sqlx::query(
        "UPDATE queue SET ready_at = greatest($1, ready_at - $2) WHERE flow AND ready_at > $1",
    )
    .bind(now.0)
    .bind(jump_ms(from, now))
    .execute(tx.sql())
    .await?;
    let due = sqlx::query(
        "UPDATE queue SET available_at = $1
         WHERE lease_owner IS NULL AND available_at > $1
           AND (available_at <= $2 OR (NOT flow AND NOT waiting))",
    )
    .bind(now.0)
    .bind(from.0)
    .execute(tx.sql())
    .await?;
    Ok(due.rows_affected())
}

/// How far.
pub(super) fn jump_ms(from: Timestamp, now: Timestamp) -> i64 {
    from.0.saturating_sub(now.0)
}

/// The same for what runs of a tenant wait for.
pub(super) async fn flow(
    tx: &mut TenantTx<'_>,
    (from, now): (Timestamp, Timestamp),
) -> Result<(), Fault> {
    let jump_ms = jump_ms(from, now);
    sqlx::query(
        "UPDATE gathering SET earliest = greatest($2, earliest - $3),
           latest = greatest($2, latest - $3)
         WHERE tenant_id = $1 AND latest > $2",
    )
    .bind(tx.tenant().0)
    .bind(now.0)
    .bind(jump_ms)
    .execute(tx.sql())
    .await?;
    sqlx::query(
        "UPDATE throttle SET tat_ns = greatest($2, tat_ns - $3)
         WHERE tenant_id = $1 AND tat_ns > $2",
    )
    .bind(tx.tenant().0)
    .bind(now.0.saturating_mul(NS_PER_MS))
    .bind(jump_ms.saturating_mul(NS_PER_MS))
    .execute(tx.sql())
    .await?;
    hasten_held(tx, now).await
}

/// Those that have their places, and that a throttle or a debounce keeps.
async fn hasten_held(tx: &mut TenantTx<'_>, now: Timestamp) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE queue SET available_at = least(available_at, greatest($2, ready_at))
         WHERE tenant_id = $1 AND lease_owner IS NULL AND flow AND NOT waiting
           AND available_at > $2 AND available_at < $3
           AND NOT EXISTS (SELECT 1 FROM lane l WHERE l.tenant_id = $1
                             AND l.run_id = queue.run_id AND l.state <> 0)",
    )
    .bind(tx.tenant().0)
    .bind(now.0)
    .bind(NEVER.0)
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// The tenants whose runs wait for something.
pub(super) async fn tenants(tx: &mut HostTx<'_>) -> Result<Vec<TenantId>, Fault> {
    let tenants: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT id FROM tenant ORDER BY id").fetch_all(tx.sql()).await?;
    Ok(tenants.into_iter().map(TenantId).collect())
}
