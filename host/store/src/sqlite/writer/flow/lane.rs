//! Places in lanes: who holds one, who waits in which line, and who is next.
//!
//! A run takes its places all at once or not at all. One that does not get them waits in the line of
//! one lane that has no room for it, and in no other: so a release looks only at runs that it may
//! help, and whoever it does not help goes to the line of the lane that is in the way.

use std::collections::VecDeque;

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{Lane, NewRun, Priority};
use uuid::Uuid;

use super::super::queue;
use crate::group::Leased;
use crate::record::{NEVER, id, turn};
use crate::sqlite::error::Fault;

/// Runs that one release looks at. Where more could go on, the next one is made due, and its claim
/// goes on from there.
const LOOKS: u32 = 64;

/// Puts a run into a lane, without a place.
pub(super) fn insert(
    connection: &Connection,
    tenant: TenantId,
    run: &NewRun,
    lane: &Lane,
) -> Result<(), Fault> {
    let priority = if lane.in_order { Priority::default() } else { run.flow.priority };
    connection
        .prepare_cached(
            "INSERT INTO lane (tenant_id, name, run_id, lim, in_order, keeps_place, priority, state)
             VALUES (?, ?, ?, ?, ?, ?, ?, 2) ON CONFLICT (run_id, name) DO NOTHING",
        )?
        .execute(params![
            id(&tenant.0),
            lane.name,
            id(&run.id.0),
            lane.limit.max(1),
            lane.in_order,
            lane.keeps_place,
            turn(priority),
        ])?;
    Ok(())
}

/// The runs in a lane whose end nobody has asked for.
pub(super) fn wanted(
    connection: &Connection,
    tenant: TenantId,
    name: &str,
) -> Result<Vec<RunId>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT l.run_id FROM lane l CROSS JOIN run r
           ON r.tenant_id = l.tenant_id AND r.id = l.run_id
         WHERE l.tenant_id = ? AND l.name = ? AND r.cancel_requested = 0",
    )?;
    let runs = statement.query_map(params![id(&tenant.0), name], |row| row.get(0))?;
    runs.map(|run| Ok(RunId(Uuid::from_bytes(run?)))).collect()
}

/// Takes the places that a run has not. If there is no room, it waits in the line of the lane whose
/// name is given: `first`, if that is one of those in the way.
pub(super) fn take(
    connection: &Connection,
    run: RunId,
    first: &str,
) -> Result<Option<String>, Fault> {
    let in_the_way: Option<String> = connection
        .prepare_cached(
            "SELECT m.name FROM lane m
             WHERE m.run_id = ?1 AND m.state <> 0 AND (
               (SELECT count(*) FROM lane h
                WHERE h.tenant_id = m.tenant_id AND h.name = m.name AND h.state = 0) >= m.lim
               OR (m.in_order AND EXISTS (
                 SELECT 1 FROM lane w
                 WHERE w.tenant_id = m.tenant_id AND w.name = m.name AND w.state IN (1, 2)
                   AND w.priority = m.priority AND w.id < m.id)))
             ORDER BY m.name <> ?2, m.name LIMIT 1",
        )?
        .query_row(params![id(&run.0), first], |row| row.get(0))
        .optional()?;
    connection
        .prepare_cached(
            "UPDATE lane SET state = CASE WHEN ?2 IS NULL THEN 0 WHEN name = ?2 THEN 1 ELSE 2 END
             WHERE run_id = ?1 AND state <> 0",
        )?
        .execute(params![id(&run.0), in_the_way])?;
    Ok(in_the_way)
}

/// The run has ended: it leaves its lanes, and others go on.
pub(in crate::sqlite::writer) fn leave(
    connection: &Connection,
    (tenant, run): (TenantId, RunId),
    now: Timestamp,
) -> Result<(), Fault> {
    let left = names(connection, "DELETE FROM lane WHERE run_id = ? RETURNING name", run)?;
    connection.prepare_cached("DELETE FROM gathering WHERE run_id = ?")?.execute([id(&run.0)])?;
    go_on(connection, tenant, left, now)
}

/// The run is parked: it gives the places back that it does not keep, and others go on.
pub(in crate::sqlite::writer) fn step_aside(
    connection: &Connection,
    (tenant, run): (TenantId, RunId),
    now: Timestamp,
) -> Result<(), Fault> {
    let statement = "UPDATE lane SET state = 3 WHERE run_id = ? AND state = 0 AND keeps_place = 0
                     RETURNING name";
    let free = names(connection, statement, run)?;
    go_on(connection, tenant, free, now)
}

/// True if a run that was just leased may work: it holds its places, or it is to be ended. If not,
/// the lease is given back as if it had not been taken.
pub(in crate::sqlite::writer) fn admit(
    connection: &Connection,
    leased: &Leased,
    now: Timestamp,
) -> Result<bool, Fault> {
    let (missing, ends, ready_at): (bool, bool, i64) = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM lane WHERE run_id = ?2 AND state <> 0),
               r.cancel_requested OR coalesce(r.deadline <= ?3, 0), q.ready_at
             FROM queue q CROSS JOIN run r ON r.tenant_id = ?1 AND r.id = ?2
             WHERE q.run_id = ?2",
        )?
        .query_row(params![id(&leased.tenant.0), id(&leased.run.0), now.0], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    if !missing || ends {
        return Ok(true);
    }
    let statement = "SELECT name FROM lane WHERE run_id = ? AND state = 1";
    let line = names(connection, statement, leased.run)?;
    let first = line.front().map_or("", String::as_str);
    let has_place = take(connection, leased.run, first)?.is_none();
    let may_work = has_place && ready_at <= now.0;
    if !may_work {
        let due = if has_place { Timestamp(ready_at) } else { NEVER };
        stand_back(connection, leased, due)?;
    }
    // It has left a line, or is at its head as before: whoever is behind it may go on.
    go_on(connection, leased.tenant, line, now)?;
    Ok(may_work)
}

/// Gives the lease back: due at that time, or at the run's deadline.
fn stand_back(connection: &Connection, leased: &Leased, due: Timestamp) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "UPDATE queue SET lease_owner = NULL, claims = max(claims - 1, 0),
               available_at = min(?3, coalesce(
                 (SELECT deadline FROM run WHERE tenant_id = ?1 AND id = ?2), ?3))
             WHERE run_id = ?2",
        )?
        .execute(params![id(&leased.tenant.0), id(&leased.run.0), due.0])?;
    Ok(())
}

/// Gives the places of these lanes that are free to those who wait for them.
fn go_on(
    connection: &Connection,
    tenant: TenantId,
    mut lanes: VecDeque<String>,
    now: Timestamp,
) -> Result<(), Fault> {
    let mut looks = LOOKS;
    while let Some(lane) = lanes.pop_front() {
        while let Some(run) = first_in_line(connection, tenant, &lane)? {
            if looks == 0 {
                queue::wake(connection, run, now)?;
                break;
            }
            looks -= 1;
            match take(connection, run, &lane)? {
                Some(in_the_way) if in_the_way == lane => break,
                // It waits elsewhere now; the next one may be luckier.
                Some(_) => {}
                None => {
                    make_due(connection, (tenant, run), now)?;
                    lanes.extend(names(connection, FOLLOWED, run)?);
                }
            }
        }
    }
    Ok(())
}

/// Lanes of a run in which the next may go on as soon as it has its place: those that go in order
/// and have several places.
const FOLLOWED: &str = "SELECT name FROM lane WHERE run_id = ? AND in_order AND lim > 1";

fn first_in_line(
    connection: &Connection,
    tenant: TenantId,
    lane: &str,
) -> Result<Option<RunId>, Fault> {
    let first = connection
        .prepare_cached(
            "SELECT run_id FROM lane INDEXED BY lane_line
             WHERE tenant_id = ? AND name = ? AND state = 1 ORDER BY priority, id LIMIT 1",
        )?
        .query_row(params![id(&tenant.0), lane], |row| row.get(0))
        .optional()?;
    Ok(first.map(|run| RunId(Uuid::from_bytes(run))))
}

/// A run that has got its places is due as soon as nothing else keeps it, unless somebody holds it
/// or wants its end.
fn make_due(
    connection: &Connection,
    (tenant, run): (TenantId, RunId),
    now: Timestamp,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "UPDATE queue SET available_at = min(max(ready_at, ?3), coalesce(
               (SELECT deadline FROM run WHERE tenant_id = ?1 AND id = ?2), ?4))
             WHERE run_id = ?2 AND lease_owner IS NULL
               AND NOT (SELECT cancel_requested FROM run WHERE tenant_id = ?1 AND id = ?2)",
        )?
        .execute(params![id(&tenant.0), id(&run.0), now.0, NEVER.0])?;
    Ok(())
}

/// Names of lanes that a statement about one run gives, in their order.
fn names(connection: &Connection, statement: &str, run: RunId) -> Result<VecDeque<String>, Fault> {
    let mut statement = connection.prepare_cached(statement)?;
    let names = statement.query_map([id(&run.0)], |row| row.get(0))?;
    let mut names = names.collect::<Result<Vec<String>, _>>()?;
    names.sort_unstable();
    Ok(names.into())
}
