//! Leases that are there: moved, given back, and taken of one run wherever it stands.

use sqlx::Row;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Lease, Open};
use uuid::Uuid;

use super::error::Fault;
use super::scope::{HostTx, TenantTx};
use crate::group::{Leased, OpenedLease};
use crate::record::{run_state, unsigned};

/// Moves the end of the leases that are still held; returns the runs of the others.
///
/// Not a question of time: a lease that has run out is still its owner's until somebody else claims
/// the run.
pub(super) async fn renew(
    tx: &mut HostTx<'_>,
    leases: &[Lease],
    until: Timestamp,
) -> Result<Vec<RunId>, Fault> {
    let held = held(tx, leases).await?;
    sqlx::query("UPDATE queue SET available_at = $2 WHERE run_id = ANY($1)")
        .bind(&held)
        .bind(until.0)
        .execute(tx.sql())
        .await?;
    let lost = leases.iter().map(|lease| lease.run).filter(|run| !held.contains(&run.0));
    Ok(lost.collect())
}

/// Gives leases back as if they had not been taken: due at once, and not counted.
pub(super) async fn give_back(tx: &mut HostTx<'_>, leases: &[Lease]) -> Result<(), Fault> {
    let held = held(tx, leases).await?;
    sqlx::query(
        "UPDATE queue SET lease_owner = NULL, claims = greatest(claims - 1, 0), available_at = 0
         WHERE run_id = ANY($1)",
    )
    .bind(held)
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Locks the runs whose leases are still held.
///
/// By nothing but their ids, and the rest is compared here: where PostgreSQL believes that few runs
/// are in the queue, as it does after each vacuum of an idle one, it would begin a join with all of
/// them.
async fn held(tx: &mut HostTx<'_>, leases: &[Lease]) -> Result<Vec<Uuid>, Fault> {
    let rows = sqlx::query(
        "SELECT run_id, lease_owner, lease_epoch FROM queue WHERE run_id = ANY($1)
         ORDER BY run_id FOR UPDATE",
    )
    .bind(leases.iter().map(|lease| lease.run.0).collect::<Vec<Uuid>>())
    .fetch_all(tx.sql())
    .await?;
    let mut held = Vec::with_capacity(rows.len());
    for row in &rows {
        let (run, owner, epoch): (Uuid, Option<&str>, i64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let ours = |lease: &Lease| {
            lease.run.0 == run && owner == Some(lease.owner.0.as_str()) && lease.epoch == epoch
        };
        if leases.iter().any(ours) {
            held.push(run);
        }
    }
    Ok(held)
}

/// Makes what others hold due: for a process that knows that nobody else has the database.
pub(crate) async fn take_over(tx: &mut HostTx<'_>, now: Timestamp) -> Result<u64, Fault> {
    let due = sqlx::query(
        "UPDATE queue SET available_at = least(available_at, $1) WHERE lease_owner IS NOT NULL",
    )
    .bind(now.0)
    .execute(tx.sql())
    .await?;
    Ok(due.rows_affected())
}

/// The latest time that is known to have been before: when the youngest run in the queue came.
pub(super) async fn latest_known(tx: &mut HostTx<'_>) -> Result<Option<Timestamp>, Fault> {
    let latest: Option<i64> =
        sqlx::query_scalar("SELECT max(created_at) FROM queue").fetch_one(tx.sql()).await?;
    Ok(latest.map(Timestamp))
}

/// Leases one run wherever it stands, so that it can be repaired, unless somebody holds it.
pub(super) async fn open(tx: &mut TenantTx<'_>, open: &Open) -> Result<OpenedLease, Fault> {
    // Nobody forgets it meanwhile.
    let found = sqlx::query(
        "SELECT state, last_epoch FROM run WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
    )
    .bind(tx.tenant().0)
    .bind(open.run.0)
    .fetch_optional(tx.sql())
    .await?;
    let Some(found) = found else {
        return Ok(OpenedLease::Unknown);
    };
    let before = run_state(found.try_get(0)?)?;
    let leased = match lease(tx, open).await? {
        None if before.ended() => enqueue(tx, open, found.try_get(1)?).await?,
        leased => leased,
    };
    let Some(leased) = leased else {
        return Ok(OpenedLease::Busy);
    };
    if before.ended() {
        forget_calls_heard(tx, open).await?;
    } else {
        sqlx::query("UPDATE run SET state = 'running' WHERE tenant_id = $1 AND id = $2")
            .bind(tx.tenant().0)
            .bind(open.run.0)
            .execute(tx.sql())
            .await?;
    }
    Ok(OpenedLease::Run { leased, before })
}

/// Leases a run that is in the queue. None if somebody holds it.
async fn lease(tx: &mut TenantTx<'_>, open: &Open) -> Result<Option<Leased>, Fault> {
    let taken = sqlx::query(
        "UPDATE queue SET lease_owner = $3, lease_epoch = lease_epoch + 1, available_at = $4,
           connections = NULL, waiting = false
         WHERE tenant_id = $1 AND run_id = $2 AND (lease_owner IS NULL OR available_at <= $5)
         RETURNING lease_epoch, claims",
    )
    .bind(tx.tenant().0)
    .bind(open.run.0)
    .bind(&open.worker.0)
    .bind(open.until.0)
    .bind(open.now.0)
    .fetch_optional(tx.sql())
    .await?;
    let Some(taken) = taken else { return Ok(None) };
    Ok(Some(leased(open, taken.try_get(0)?, unsigned(taken.try_get(1)?)?)))
}

/// Puts a run that has ended back into the queue, under an epoch that it never had. It stays as it
/// ended until a settle lets it go on. None if somebody holds it.
async fn enqueue(
    tx: &mut TenantTx<'_>,
    open: &Open,
    last_epoch: i64,
) -> Result<Option<Leased>, Fault> {
    let epoch = last_epoch.saturating_add(1);
    let new = sqlx::query(
        "INSERT INTO queue (tenant_id, run_id, available_at, lease_owner, lease_epoch, claims,
           reopened, deadline, created_at, pack)
         SELECT $1, $2, $3, $4, $5, 0, true, deadline, created_at, pack FROM run
         WHERE tenant_id = $1 AND id = $2 ON CONFLICT DO NOTHING",
    )
    .bind(tx.tenant().0)
    .bind(open.run.0)
    .bind(open.until.0)
    .bind(&open.worker.0)
    .bind(epoch)
    .execute(tx.sql())
    .await?;
    Ok((new.rows_affected() > 0).then(|| leased(open, epoch, 0)))
}

/// What called runs told the run before it ended, and it did not hear: where they stand now is read
/// from themselves.
async fn forget_calls_heard(tx: &mut TenantTx<'_>, open: &Open) -> Result<(), Fault> {
    sqlx::query(
        "DELETE FROM signal g WHERE g.tenant_id = $1 AND g.run_id = $2 AND EXISTS (
           SELECT 1 FROM step s WHERE s.tenant_id = $1 AND s.run_id = $2 AND s.node = g.node
             AND s.item = g.item AND s.child IS NOT NULL)",
    )
    .bind(tx.tenant().0)
    .bind(open.run.0)
    .execute(tx.sql())
    .await?;
    Ok(())
}

fn leased(open: &Open, epoch: i64, claims: u32) -> Leased {
    Leased { tenant: open.tenant, run: open.run, epoch, claims }
}
