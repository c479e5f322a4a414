//! Places in the queue, made due by what comes from outside.

use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;

use super::error::Fault;
use super::scope::TenantTx;

/// Those of the runs `$2` of the tenant `$1` that are in the queue.
///
/// The tenant is compared in a way that no index serves. Where PostgreSQL believes that few runs are
/// in the queue, as it does after each vacuum of an idle one, it would else read all of the tenant's
/// to find a few.
macro_rules! these {
    () => {
        "tenant_id::text = $1::uuid::text AND run_id = ANY($2)"
    };
}
pub(super) use these;

/// Locks a run that has not ended, or is being repaired: from now on nobody else writes it. False if
/// it is not in the queue.
pub(super) async fn lock(tx: &mut TenantTx<'_>, run: RunId) -> Result<bool, Fault> {
    let found: Option<i32> =
        sqlx::query_scalar("SELECT 1 FROM queue WHERE tenant_id = $1 AND run_id = $2 FOR UPDATE")
            .bind(tx.tenant().0)
            .bind(run.0)
            .fetch_optional(tx.sql())
            .await?;
    Ok(found.is_some())
}

/// Makes a run due by `now`, unless somebody holds it. To be locked before.
pub(super) async fn wake(tx: &mut TenantTx<'_>, run: RunId, now: Timestamp) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE queue SET available_at = least(available_at, $3)
         WHERE tenant_id = $1 AND run_id = $2 AND lease_owner IS NULL",
    )
    .bind(tx.tenant().0)
    .bind(run.0)
    .bind(now.0)
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Notes that a run waits for connections, whose names are given as a JSON array. They stay as they
/// are until we are done: who ends a pause afterwards finds the note.
pub(super) async fn wait_for(tx: &mut TenantTx<'_>, run: RunId, names: &str) -> Result<(), Fault> {
    sqlx::query(
        "SELECT 1 FROM connection WHERE tenant_id = $1
           AND name IN (SELECT jsonb_array_elements_text($2::jsonb)) ORDER BY name FOR SHARE",
    )
    .bind(tx.tenant().0)
    .bind(names)
    .execute(tx.sql())
    .await?;
    sqlx::query(
        "INSERT INTO connection_wait (tenant_id, connection, run_id)
         SELECT $1, jsonb_array_elements_text($3::jsonb), $2 ON CONFLICT DO NOTHING",
    )
    .bind(tx.tenant().0)
    .bind(run.0)
    .bind(names)
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Makes the runs due that wait for a connection, and gives how many there were.
pub(super) async fn wake_waiting_for(
    tx: &mut TenantTx<'_>,
    name: &str,
    now: Timestamp,
) -> Result<u64, Fault> {
    let due = sqlx::query(
        "UPDATE queue SET available_at = $3
         WHERE tenant_id = $1
           AND run_id IN (SELECT run_id FROM connection_wait
                          WHERE tenant_id = $1 AND connection = $2)
           AND lease_owner IS NULL AND available_at > $3
           AND $2 IN (SELECT jsonb_array_elements_text(connections::jsonb))",
    )
    .bind(tx.tenant().0)
    .bind(name)
    .bind(now.0)
    .execute(tx.sql())
    .await?;
    sqlx::query("DELETE FROM connection_wait WHERE tenant_id = $1 AND connection = $2")
        .bind(tx.tenant().0)
        .bind(name)
        .execute(tx.sql())
        .await?;
    Ok(due.rows_affected())
}
