//! Claim: the writer takes the leases; the runs themselves are read after the commit, beside it.

use rusqlite::{Connection, Row, params};
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{Claim, Lease};
use uuid::Uuid;

use super::flow;
use super::turn::{self, Turn};
use crate::group::Leased;
use crate::record::{Damaged, id, unsigned};
use crate::sqlite::error::Fault;
use crate::sqlite::row::id_list;

/// Leases what is due: the high priorities first, and of each the longest due.
pub(super) fn apply(connection: &Connection, claim: &Claim) -> Result<Vec<Leased>, Fault> {
    let leased = match turn::pick(connection, claim)? {
        Turn::Usual => lease_longest_due(connection, claim)?,
        Turn::These(runs) => lease(connection, claim, &runs)?,
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

/// Takes a lease; the rest of the statement says which.
macro_rules! lease {
    ($which:literal) => {
        concat!(
            "UPDATE queue SET lease_owner = ?1, lease_epoch = lease_epoch + 1, \
               claims = claims + 1, available_at = ?2, connections = NULL \
             WHERE run_id IN (",
            $which,
            ") RETURNING run_id, tenant_id, lease_epoch, claims, flow"
        )
    };
}

/// Where all that is due has the same priority.
fn lease_longest_due(connection: &Connection, claim: &Claim) -> Result<Vec<(Leased, bool)>, Fault> {
    let mut lease = connection.prepare_cached(lease!(
        "SELECT run_id FROM queue WHERE priority = 1 AND available_at <= ?3 \
           AND run_id NOT IN (SELECT unhex(value) FROM json_each(?5)) \
         ORDER BY available_at, run_id LIMIT ?4"
    ))?;
    let limit = i64::try_from(claim.limit).unwrap_or(i64::MAX);
    let held = id_list(claim.held.iter().map(|run| run.0));
    let rows = lease
        .query_map(params![claim.worker.0, claim.until.0, claim.now.0, limit, held], read_leased)?;
    rows.map(|row| Ok(row??)).collect()
}

fn lease(
    connection: &Connection,
    claim: &Claim,
    runs: &[RunId],
) -> Result<Vec<(Leased, bool)>, Fault> {
    let mut lease = connection.prepare_cached(lease!("SELECT unhex(value) FROM json_each(?3)"))?;
    let runs = id_list(runs.iter().map(|run| run.0));
    let rows = lease.query_map(params![claim.worker.0, claim.until.0, runs], read_leased)?;
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
