//! Claim: leases of runs that are due. The runs themselves are read afterwards.
//!
//! What another process has in its hands at this moment is passed over and not waited for.

use std::collections::{BTreeMap, HashMap};

use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{Claim, SUSPECT_CLAIMS, Wanted};
use uuid::Uuid;

use super::error::Fault;
use super::flow;
use super::scope::{HostTx, TenantTx, Tx};
use super::turn::{due_of_each, read_due};
use crate::group::Leased;
use crate::record::{Damaged, unsigned};
use crate::turn::{Due, choose};

/// Longest due runs of each priority among which those are looked for that need no work.
const LOOKED_AT: i64 = 1_000;

/// A lease that was just taken.
struct Taken {
    leased: Leased,
    flow: bool,
    /// It had ended, and its repair came to nothing.
    reopened: bool,
}

/// Leases what is due and wanted.
pub(super) async fn claim(pool: &PgPool, claim: &Claim) -> Result<Vec<Leased>, Fault> {
    let mut tx = Tx::of_claim(pool).await?;
    let mut host = tx.began_as_host();
    let taken = match claim.wanted {
        Wanted::Due { suspects } => take_due(&mut host, claim, suspects.min(claim.limit)).await?,
        Wanted::Ending => {
            let ending = ending(&mut host, claim).await?;
            let ending = lock(&mut host, claim, &ending).await?;
            take(&mut host, claim, &ending).await?
        }
    };
    if taken.is_empty() {
        // Waited for: what was locked and not taken is the next one's to claim.
        tx.commit().await?;
        return Ok(Vec::new());
    }
    let order: HashMap<RunId, usize> =
        taken.iter().map(|taken| taken.leased.run).zip(0..).collect();
    let mut by_tenant: BTreeMap<TenantId, Vec<Taken>> = BTreeMap::new();
    for one in taken {
        by_tenant.entry(one.leased.tenant).or_default().push(one);
    }
    let mut going_on = Vec::new();
    for (tenant, taken) in by_tenant {
        going_on.extend(start(&mut tx.tenant(tenant).await?, claim.now, taken).await?);
    }
    tx.commit().await?;
    going_on.sort_by_key(|leased| order.get(&leased.run).copied());
    Ok(going_on)
}

/// The runs that are `running` from now on: without those that have no place yet, and those that had
/// ended.
async fn start(
    tx: &mut TenantTx<'_>,
    now: Timestamp,
    taken: Vec<Taken>,
) -> Result<Vec<Leased>, Fault> {
    let mut going_on = Vec::with_capacity(taken.len());
    if taken.iter().any(|taken| taken.flow) {
        flow::lock(tx).await?;
    }
    for Taken { leased, flow, reopened } in taken {
        if reopened {
            stays_ended(tx, &leased).await?;
        } else if !flow || flow::admit(tx, leased.run, now).await? {
            going_on.push(leased);
        }
    }
    let runs: Vec<Uuid> = going_on.iter().map(|leased| leased.run.0).collect();
    if !runs.is_empty() {
        sqlx::query(
            "UPDATE run SET state = 'running'
             WHERE tenant_id = $1 AND id = ANY($2) AND state <> 'running'",
        )
        .bind(tx.tenant().0)
        .bind(runs)
        .execute(tx.sql())
        .await?;
    }
    Ok(going_on)
}

/// A run that had ended, and whose repair came to nothing, leaves the queue again.
async fn stays_ended(tx: &mut TenantTx<'_>, leased: &Leased) -> Result<(), Fault> {
    sqlx::query("UPDATE run SET last_epoch = $3 WHERE tenant_id = $1 AND id = $2")
        .bind(tx.tenant().0)
        .bind(leased.run.0)
        .bind(leased.epoch)
        .execute(tx.sql())
        .await?;
    sqlx::query("DELETE FROM queue WHERE tenant_id = $1 AND run_id = $2")
        .bind(tx.tenant().0)
        .bind(leased.run.0)
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// A few suspects, then the high priorities, and of each the longest due.
async fn take_due(
    tx: &mut HostTx<'_>,
    claim: &Claim,
    suspects: usize,
) -> Result<Vec<Taken>, Fault> {
    let mut taken = match suspects {
        0 => Vec::new(),
        suspects => {
            let suspects = suspected(tx, claim, suspects).await?;
            take(tx, claim, &suspects).await?
        }
    };
    let limit = claim.limit - taken.len();
    let mut classes = due(tx, claim, limit).await?;
    for (priority, class) in (0..).zip(&mut classes) {
        if let Some(turns) = &claim.turns
            && class.len() == limit
        {
            class.extend(due_of_each(tx, (claim, turns), (priority, limit)).await?);
        }
    }
    let chosen = choose(classes.into(), limit, claim.turns.as_ref());
    taken.extend(take(tx, claim, &chosen).await?);
    Ok(taken)
}

/// Runs that may be what ended their workers, and that are due: see [`SUSPECT_CLAIMS`], which stands
/// in the statements, too.
async fn suspected(tx: &mut HostTx<'_>, claim: &Claim, limit: usize) -> Result<Vec<RunId>, Fault> {
    const { assert!(SUSPECT_CLAIMS == 2, "as in the statements and the index") };
    let runs: Vec<Uuid> = sqlx::query_scalar(
        "SELECT run_id FROM queue
         WHERE claims >= 2 AND available_at <= $1 AND run_id <> ALL($2)
         ORDER BY claims, available_at, run_id LIMIT $3 FOR UPDATE SKIP LOCKED",
    )
    .bind(claim.now.0)
    .bind(held(claim))
    .bind(count(limit))
    .fetch_all(tx.sql())
    .await?;
    Ok(runs.into_iter().map(RunId).collect())
}

/// The longest due of a priority, so many at most, without suspects, locked.
macro_rules! due_of {
    ($priority:literal) => {
        concat!(
            "(SELECT available_at, run_id, tenant_id, priority FROM queue
              WHERE priority = ",
            $priority,
            " AND available_at <= $1 AND claims < 2 AND run_id <> ALL($2)
              ORDER BY available_at, run_id LIMIT $3 FOR UPDATE SKIP LOCKED)"
        )
    };
}

/// The longest due of each priority, so many at most, without suspects.
async fn due(tx: &mut HostTx<'_>, claim: &Claim, limit: usize) -> Result<[Vec<Due>; 3], Fault> {
    let rows = sqlx::query(concat!(
        "WITH high AS MATERIALIZED ",
        due_of!(0),
        ", normal AS MATERIALIZED ",
        due_of!(1),
        ", low AS MATERIALIZED ",
        due_of!(2),
        " SELECT * FROM high UNION ALL SELECT * FROM normal UNION ALL SELECT * FROM low",
    ))
    .bind(claim.now.0)
    .bind(held(claim))
    .bind(count(limit))
    .fetch_all(tx.sql())
    .await?;
    let mut classes = [const { Vec::new() }; 3];
    for row in &rows {
        let priority: i16 = row.try_get(3)?;
        let class = usize::try_from(priority).ok().and_then(|class| classes.get_mut(class));
        let class = class.ok_or_else(|| Damaged(format!("{priority} is no priority")))?;
        class.push(read_due(row)?);
    }
    Ok(classes)
}

/// Runs that are due and are to end: by a wish, which makes them the longest due, or because their
/// time is up.
async fn ending(tx: &mut HostTx<'_>, claim: &Claim) -> Result<Vec<RunId>, Fault> {
    let mut ending = Vec::new();
    for priority in 0..3_i16 {
        let runs: Vec<Uuid> = sqlx::query_scalar(
            "SELECT q.run_id FROM (
               SELECT run_id, cancel_requested, deadline FROM queue
               WHERE priority = $1 AND available_at <= $2 AND run_id <> ALL($3)
               ORDER BY available_at LIMIT $5) q
             WHERE q.cancel_requested OR q.deadline <= $2 LIMIT $4",
        )
        .bind(priority)
        .bind(claim.now.0)
        .bind(held(claim))
        .bind(count(claim.limit - ending.len()))
        .bind(LOOKED_AT)
        .fetch_all(tx.sql())
        .await?;
        ending.extend(runs.into_iter().map(RunId));
    }
    Ok(ending)
}

pub(super) fn held(claim: &Claim) -> Vec<Uuid> {
    claim.held.iter().map(|run| run.0).collect()
}

pub(super) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Locks those that are still due and that nobody else has locked.
async fn lock(tx: &mut HostTx<'_>, claim: &Claim, runs: &[RunId]) -> Result<Vec<RunId>, Fault> {
    // A sum, so that nobody looks at all that is due to find a few runs.
    let locked: Vec<Uuid> = sqlx::query_scalar(
        "SELECT run_id FROM queue WHERE run_id = ANY($1) AND available_at + 0 <= $2
         FOR UPDATE SKIP LOCKED",
    )
    .bind(runs.iter().map(|run| run.0).collect::<Vec<Uuid>>())
    .bind(claim.now.0)
    .fetch_all(tx.sql())
    .await?;
    Ok(locked.into_iter().map(RunId).collect())
}

/// Takes the leases of runs that are locked. By nothing but their ids: where PostgreSQL believes that
/// few runs are in the queue, as it does after each vacuum of an idle one, it would begin a join with
/// all of them.
async fn take(tx: &mut HostTx<'_>, claim: &Claim, runs: &[RunId]) -> Result<Vec<Taken>, Fault> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "UPDATE queue SET lease_owner = $1, lease_epoch = greatest(lease_epoch + 1, $4),
           claims = claims + 1,
           available_at = $2, connections = NULL, waiting = false
         WHERE run_id = ANY($3) RETURNING run_id, tenant_id, lease_epoch, claims, flow, reopened",
    )
    .bind(&claim.worker.0)
    .bind(claim.until.0)
    .bind(runs.iter().map(|run| run.0).collect::<Vec<Uuid>>())
    .bind(claim.now.0)
    .fetch_all(tx.sql())
    .await?;
    let taken = |row: &PgRow| -> Result<Taken, Fault> {
        let leased = Leased {
            run: RunId(row.try_get(0)?),
            tenant: TenantId(row.try_get(1)?),
            epoch: row.try_get(2)?,
            claims: unsigned(row.try_get(3)?)?,
        };
        Ok(Taken { leased, flow: row.try_get(4)?, reopened: row.try_get(5)? })
    };
    let mut taken = rows.iter().map(taken).collect::<Result<Vec<_>, Fault>>()?;
    taken.sort_by_key(|taken| runs.iter().position(|run| *run == taken.leased.run));
    Ok(taken)
}
