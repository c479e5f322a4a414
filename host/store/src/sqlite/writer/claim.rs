//! Claim: the writer takes the leases; the runs themselves are read after the commit, beside it.

use rusqlite::{Connection, Row, params};
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{Claim, Lease, SUSPECT_CLAIMS, Wanted};
use uuid::Uuid;

use super::flow;
use super::turn::{self, Turn};
use crate::group::Leased;
use crate::record::{Damaged, id, unsigned};
use crate::sqlite::error::Fault;
use crate::sqlite::ids::id_list;

/// Longest due runs of each priority among which those are looked for that need no work.
const LOOKED_AT: i64 = 1_000;

/// Leases what is due and wanted.
pub(super) fn apply(connection: &Connection, claim: &Claim) -> Result<Vec<Leased>, Fault> {
    let leased = match claim.wanted {
        Wanted::Due { suspects } => lease_due(connection, claim, suspects.min(claim.limit))?,
        Wanted::Ending => lease(connection, claim, &ending(connection, claim)?)?,
    };
    let mut claimed = Vec::with_capacity(leased.len());
    for (leased, flow) in leased {
        if flow && !flow::admit(connection, &leased, claim.now)? {
            continue;
        }
        claimed.push(leased);
    }
    let mut update = connection.prepare_cached(
        "UPDATE run SET state = 'running'
         WHERE tenant_id = ? AND id = ? AND state <> 'running' AND ended_at IS NULL",
    )?;
    let mut going_on = Vec::with_capacity(claimed.len());
    for leased in claimed {
        let changed = update.execute([id(&leased.tenant.0), id(&leased.run.0)])?;
        if changed > 0 || !stays_ended(connection, &leased)? {
            going_on.push(leased);
        }
    }
    Ok(going_on)
}

/// True for a run that had ended, and whose repair came to nothing: it leaves the queue again.
fn stays_ended(connection: &Connection, leased: &Leased) -> Result<bool, Fault> {
    let ended = connection
        .prepare_cached(
            "UPDATE run SET last_epoch = ?3
             WHERE tenant_id = ?1 AND id = ?2 AND ended_at IS NOT NULL",
        )?
        .execute(params![id(&leased.tenant.0), id(&leased.run.0), leased.epoch])?;
    if ended > 0 {
        connection
            .prepare_cached("DELETE FROM queue WHERE run_id = ?")?
            .execute([id(&leased.run.0)])?;
    }
    Ok(ended > 0)
}

/// A few suspects, then the high priorities, and of each the longest due.
fn lease_due(
    connection: &Connection,
    claim: &Claim,
    suspects: usize,
) -> Result<Vec<(Leased, bool)>, Fault> {
    let suspects = if suspects == 0 { Vec::new() } else { suspected(connection, claim, suspects)? };
    let mut leased = match suspects.as_slice() {
        [] => Vec::new(),
        suspects => lease(connection, claim, suspects)?,
    };
    let limit = claim.limit - leased.len();
    leased.extend(match turn::pick(connection, claim, limit)? {
        Turn::Usual => lease_longest_due(connection, claim, limit)?,
        Turn::These(runs) => lease(connection, claim, &runs)?,
    });
    Ok(leased)
}

/// Runs that may be what ended their workers, and that are due: see [`SUSPECT_CLAIMS`], which stands
/// in the statements, too.
fn suspected(connection: &Connection, claim: &Claim, limit: usize) -> Result<Vec<RunId>, Fault> {
    const { assert!(SUSPECT_CLAIMS == 2, "as in the statements and the index") };
    let mut statement = connection.prepare_cached(
        "SELECT run_id FROM queue INDEXED BY queue_suspect
         WHERE claims >= 2 AND available_at <= ?1
           AND run_id NOT IN (SELECT unhex(value) FROM json_each(?3))
         ORDER BY claims, available_at, run_id LIMIT ?2",
    )?;
    let runs = statement.query_map(params![claim.now.0, count(limit), held(claim)], read_run)?;
    Ok(runs.collect::<Result<_, _>>()?)
}

/// Runs that are due and are to end: by a wish, which makes them the longest due, or because their
/// time is up.
fn ending(connection: &Connection, claim: &Claim) -> Result<Vec<RunId>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT q.run_id FROM (
           SELECT tenant_id, run_id FROM queue WHERE priority = ?1 AND available_at <= ?2
             AND run_id NOT IN (SELECT unhex(value) FROM json_each(?4))
           ORDER BY available_at LIMIT ?5) q
         CROSS JOIN run r ON r.tenant_id = q.tenant_id AND r.id = q.run_id
         WHERE (r.cancel_requested AND r.ended_at IS NULL) OR r.deadline <= ?2 LIMIT ?3",
    )?;
    let mut ending = Vec::new();
    for priority in 0..3 {
        let left = count(claim.limit - ending.len());
        let runs = statement
            .query_map(params![priority, claim.now.0, left, held(claim), LOOKED_AT], read_run)?;
        ending.extend(runs.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(ending)
}

fn read_run(row: &Row<'_>) -> Result<RunId, rusqlite::Error> {
    Ok(RunId(Uuid::from_bytes(row.get(0)?)))
}

pub(super) fn held(claim: &Claim) -> String {
    id_list(claim.held.iter().map(|run| run.0))
}

pub(super) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Takes a lease at the time ?3; the rest of the statement says which.
macro_rules! lease {
    ($which:literal) => {
        concat!(
            "UPDATE queue SET lease_owner = ?1, lease_epoch = max(lease_epoch + 1, ?3), \
               claims = claims + 1, available_at = ?2, connections = NULL \
             WHERE run_id IN (",
            $which,
            ") RETURNING run_id, tenant_id, lease_epoch, claims, flow"
        )
    };
}

/// Where all that is due has the same priority.
fn lease_longest_due(
    connection: &Connection,
    claim: &Claim,
    limit: usize,
) -> Result<Vec<(Leased, bool)>, Fault> {
    let mut lease = connection.prepare_cached(lease!(
        "SELECT run_id FROM queue WHERE priority = 1 AND available_at <= ?3 AND claims < 2 \
           AND run_id NOT IN (SELECT unhex(value) FROM json_each(?5)) \
         ORDER BY available_at, run_id LIMIT ?4"
    ))?;
    let rows = lease.query_map(
        params![claim.worker.0, claim.until.0, claim.now.0, count(limit), held(claim)],
        read_leased,
    )?;
    rows.map(|row| Ok(row??)).collect()
}

fn lease(
    connection: &Connection,
    claim: &Claim,
    runs: &[RunId],
) -> Result<Vec<(Leased, bool)>, Fault> {
    let mut lease = connection.prepare_cached(lease!("SELECT unhex(value) FROM json_each(?4)"))?;
    let runs = id_list(runs.iter().map(|run| run.0));
    let rows =
        lease.query_map(params![claim.worker.0, claim.until.0, claim.now.0, runs], read_leased)?;
    rows.map(|row| Ok(row??)).collect()
}

/// The lease, and whether the run may be in lanes.
fn read_leased(row: &Row<'_>) -> Result<Result<(Leased, bool), Damaged>, rusqlite::Error> {
    let (run, tenant) = (row.get(0)?, row.get(1)?);
    let (epoch, flow) = (row.get(2)?, row.get(4)?);
    let claims: i64 = row.get(3)?;
    Ok(unsigned(claims).map(|claims| {
        let tenant = TenantId(Uuid::from_bytes(tenant));
        (Leased { run: RunId(Uuid::from_bytes(run)), tenant, epoch, claims }, flow)
    }))
}

/// Gives leases back as if they had not been taken: due at once, and not counted.
pub(super) fn give_back(connection: &Connection, leases: &[Lease]) -> Result<(), Fault> {
    let mut update = connection.prepare_cached(
        "UPDATE queue SET lease_owner = NULL, claims = max(claims - 1, 0), available_at = 0
         WHERE run_id = ? AND lease_owner = ? AND lease_epoch = ?",
    )?;
    for lease in leases {
        update.execute(params![id(&lease.run.0), lease.owner.0, lease.epoch])?;
    }
    Ok(())
}
