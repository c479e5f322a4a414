//! Places in lanes: who holds one, who waits in which line, and who is next.
//!
//! A run takes its places all at once or not at all. One that does not get them waits in the line of
//! one lane that has no room for it, and in no other: so a release looks only at runs that it may
//! help, and whoever it does not help goes to the line of the lane that is in the way.

use std::collections::VecDeque;

use sqlx::Row;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Lane, NewRun, Priority};
use uuid::Uuid;

use crate::postgres::error::Fault;
use crate::postgres::scope::TenantTx;
use crate::record::{NEVER, turn};

/// Runs that one release looks at. Where more could go on, the next one is made due, and its claim
/// goes on from there.
const LOOKS: u32 = 64;

/// Puts a run into a lane, without a place.
pub(super) async fn insert(tx: &mut TenantTx<'_>, run: &NewRun, lane: &Lane) -> Result<(), Fault> {
    let priority = if lane.in_order { Priority::default() } else { run.flow.priority };
    sqlx::query(
        "INSERT INTO lane (tenant_id, name, run_id, lim, in_order, keeps_place, priority, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 2) ON CONFLICT (tenant_id, run_id, name) DO NOTHING",
    )
    .bind(tx.tenant().0)
    .bind(&lane.name)
    .bind(run.id.0)
    .bind(i64::from(lane.limit.max(1)))
    .bind(lane.in_order)
    .bind(lane.keeps_place)
    .bind(turn(priority))
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// The runs in a lane whose end nobody has asked for.
pub(super) async fn wanted(tx: &mut TenantTx<'_>, name: &str) -> Result<Vec<RunId>, Fault> {
    let runs: Vec<Uuid> = sqlx::query_scalar(
        "SELECT l.run_id FROM lane l JOIN run r ON r.tenant_id = l.tenant_id AND r.id = l.run_id
         WHERE l.tenant_id = $1 AND l.name = $2 AND NOT r.cancel_requested ORDER BY l.run_id",
    )
    .bind(tx.tenant().0)
    .bind(name)
    .fetch_all(tx.sql())
    .await?;
    Ok(runs.into_iter().map(RunId).collect())
}

/// Takes the places that a run has not. If there is no room, it waits in the line of the lane whose
/// name is given: `first`, if that is one of those in the way.
pub(super) async fn take(
    tx: &mut TenantTx<'_>,
    run: RunId,
    first: &str,
) -> Result<Option<String>, Fault> {
    let in_the_way: Option<String> = sqlx::query_scalar(
        "SELECT m.name FROM lane m
         WHERE m.tenant_id = $1 AND m.run_id = $2 AND m.state <> 0 AND (
           (SELECT count(*) FROM lane h
            WHERE h.tenant_id = $1 AND h.name = m.name AND h.state = 0) >= m.lim
           OR (m.in_order AND EXISTS (
             SELECT 1 FROM lane w
             WHERE w.tenant_id = $1 AND w.name = m.name AND w.state IN (1, 2)
               AND w.priority = m.priority AND w.id < m.id)))
         ORDER BY m.name <> $3, m.name LIMIT 1",
    )
    .bind(tx.tenant().0)
    .bind(run.0)
    .bind(first)
    .fetch_optional(tx.sql())
    .await?;
    sqlx::query(
        "UPDATE lane SET state = CASE WHEN $3::text IS NULL THEN 0 WHEN name = $3 THEN 1 ELSE 2 END
         WHERE tenant_id = $1 AND run_id = $2 AND state <> 0",
    )
    .bind(tx.tenant().0)
    .bind(run.0)
    .bind(in_the_way.as_deref())
    .execute(tx.sql())
    .await?;
    Ok(in_the_way)
}

/// The run has ended: it leaves its lanes, and others go on.
pub(super) async fn leave(tx: &mut TenantTx<'_>, run: RunId, now: Timestamp) -> Result<(), Fault> {
    let left =
        names(tx, "DELETE FROM lane WHERE tenant_id = $1 AND run_id = $2 RETURNING name", run)
            .await?;
    sqlx::query("DELETE FROM gathering WHERE tenant_id = $1 AND run_id = $2")
        .bind(tx.tenant().0)
        .bind(run.0)
        .execute(tx.sql())
        .await?;
    go_on(tx, left, now).await
}

/// The run is parked: it gives the places back that it does not keep, and others go on.
pub(super) async fn step_aside(
    tx: &mut TenantTx<'_>,
    run: RunId,
    now: Timestamp,
) -> Result<(), Fault> {
    let statement = "UPDATE lane SET state = 3
         WHERE tenant_id = $1 AND run_id = $2 AND state = 0 AND NOT keeps_place RETURNING name";
    let free = names(tx, statement, run).await?;
    go_on(tx, free, now).await
}

/// True if a run that was just leased may work: it holds its places, or it is to be ended. If not,
/// the lease is given back as if it had not been taken. The lock is to be taken before.
pub(in crate::postgres) async fn admit(
    tx: &mut TenantTx<'_>,
    run: RunId,
    now: Timestamp,
) -> Result<bool, Fault> {
    let row = sqlx::query(
        "SELECT EXISTS (SELECT 1 FROM lane WHERE tenant_id = $1 AND run_id = $2 AND state <> 0),
           q.cancel_requested OR coalesce(q.deadline <= $3, false), q.ready_at
         FROM queue q WHERE q.tenant_id = $1 AND q.run_id = $2",
    )
    .bind(tx.tenant().0)
    .bind(run.0)
    .bind(now.0)
    .fetch_one(tx.sql())
    .await?;
    let (missing, ends, ready_at): (bool, bool, i64) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if !missing || ends {
        return Ok(true);
    }
    let statement = "SELECT name FROM lane WHERE tenant_id = $1 AND run_id = $2 AND state = 1";
    let line = names(tx, statement, run).await?;
    let first = line.front().map_or("", String::as_str);
    let has_place = take(tx, run, first).await?.is_none();
    let may_work = has_place && ready_at <= now.0;
    if !may_work {
        let due = if has_place { Timestamp(ready_at) } else { NEVER };
        stand_back(tx, run, due).await?;
    }
    // It has left a line, or is at its head as before: whoever is behind it may go on.
    go_on(tx, line, now).await?;
    Ok(may_work)
}

/// Gives the lease back: due at that time, or at the run's deadline.
async fn stand_back(tx: &mut TenantTx<'_>, run: RunId, due: Timestamp) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE queue SET lease_owner = NULL, claims = greatest(claims - 1, 0),
           available_at = least($3, deadline)
         WHERE tenant_id = $1 AND run_id = $2",
    )
    .bind(tx.tenant().0)
    .bind(run.0)
    .bind(due.0)
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Gives the places of these lanes that are free to those who wait for them.
async fn go_on(
    tx: &mut TenantTx<'_>,
    mut lanes: VecDeque<String>,
    now: Timestamp,
) -> Result<(), Fault> {
    let mut looks = LOOKS;
    while let Some(lane) = lanes.pop_front() {
        while let Some(run) = first_in_line(tx, &lane).await? {
            if looks == 0 {
                make_due(tx, run, now).await?;
                break;
            }
            looks -= 1;
            match take(tx, run, &lane).await? {
                Some(in_the_way) if in_the_way == lane => break,
                // It waits elsewhere now; the next one may be luckier.
                Some(_) => {}
                None => {
                    make_due(tx, run, now).await?;
                    lanes.extend(names(tx, FOLLOWED, run).await?);
                }
            }
        }
    }
    Ok(())
}

/// Lanes of a run in which the next may go on as soon as it has its place: those that go in order
/// and have several places.
const FOLLOWED: &str =
    "SELECT name FROM lane WHERE tenant_id = $1 AND run_id = $2 AND in_order AND lim > 1";

async fn first_in_line(tx: &mut TenantTx<'_>, lane: &str) -> Result<Option<RunId>, Fault> {
    let first: Option<Uuid> = sqlx::query_scalar(
        "SELECT run_id FROM lane WHERE tenant_id = $1 AND name = $2 AND state = 1
         ORDER BY priority, id LIMIT 1",
    )
    .bind(tx.tenant().0)
    .bind(lane)
    .fetch_optional(tx.sql())
    .await?;
    Ok(first.map(RunId))
}

/// A run that has got its places is due as soon as nothing else keeps it, unless somebody holds it
/// or wants its end.
///
/// Nor if somebody has its row at this moment: whoever claims it asks for its places afterwards, and
/// everything else that changes a run that waits in a line makes it due by itself.
async fn make_due(tx: &mut TenantTx<'_>, run: RunId, now: Timestamp) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE queue SET available_at = least(greatest(ready_at, $3), deadline)
         WHERE tenant_id = $1 AND run_id IN (
           SELECT run_id FROM queue WHERE tenant_id = $1 AND run_id = $2
             AND lease_owner IS NULL AND NOT cancel_requested
           FOR UPDATE SKIP LOCKED)",
    )
    .bind(tx.tenant().0)
    .bind(run.0)
    .bind(now.0)
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Names of lanes that a statement about one run gives, in their order.
async fn names(
    tx: &mut TenantTx<'_>,
    statement: &'static str,
    run: RunId,
) -> Result<VecDeque<String>, Fault> {
    let mut names: Vec<String> =
        sqlx::query_scalar(statement).bind(tx.tenant().0).bind(run.0).fetch_all(tx.sql()).await?;
    names.sort_unstable();
    Ok(names.into())
}
