//! Open: one run is leased wherever it stands, so that it can be repaired.

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::ports::store::Open;
use tombolo_core::run::RunState;

use crate::group::{Leased, OpenedLease};
use crate::record::{id, run_state, unsigned};
use crate::sqlite::error::Fault;

/// Leases the run, unless somebody holds it.
pub(super) fn apply(connection: &Connection, open: &Open) -> Result<OpenedLease, Fault> {
    let found: Option<(String, i64)> = connection
        .prepare_cached("SELECT state, last_epoch FROM run WHERE tenant_id = ? AND id = ?")?
        .query_row([id(&open.tenant.0), id(&open.run.0)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((state, last_epoch)) = found else {
        return Ok(OpenedLease::Unknown);
    };
    let before = run_state(&state)?;
    let leased = if before.ended() {
        enqueue(connection, open, last_epoch)?
    } else {
        lease(connection, open)?
    };
    match leased {
        Some(leased) => {
            reopen(connection, open, before)?;
            Ok(OpenedLease::Run { leased, before })
        }
        None => Ok(OpenedLease::Busy),
    }
}

/// Leases a run that is in the queue. None if somebody holds it.
fn lease(connection: &Connection, open: &Open) -> Result<Option<Leased>, Fault> {
    let taken: Option<(i64, i64)> = connection
        .prepare_cached(
            "UPDATE queue SET lease_owner = ?1, lease_epoch = lease_epoch + 1, available_at = ?2,
               connections = NULL
             WHERE run_id = ?3 AND (lease_owner IS NULL OR available_at <= ?4)
             RETURNING lease_epoch, claims",
        )?
        .query_row(params![open.worker.0, open.until.0, id(&open.run.0), open.now.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    taken.map(|(epoch, claims)| Ok(leased(open, epoch, unsigned(claims)?))).transpose()
}

/// Puts a run that has ended back into the queue, under an epoch that it never had.
fn enqueue(connection: &Connection, open: &Open, last_epoch: i64) -> Result<Option<Leased>, Fault> {
    let epoch = last_epoch.saturating_add(1);
    connection
        .prepare_cached(
            "INSERT INTO queue (run_id, tenant_id, available_at, lease_owner, lease_epoch, claims)
             VALUES (?, ?, ?, ?, ?, 0)",
        )?
        .execute(params![
            id(&open.run.0),
            id(&open.tenant.0),
            open.until.0,
            open.worker.0,
            epoch
        ])?;
    Ok(Some(leased(open, epoch, 0)))
}

fn leased(open: &Open, epoch: i64, claims: u32) -> Leased {
    Leased { tenant: open.tenant, run: open.run, epoch, claims }
}

/// The run is `running`; how it ended, if it had, is forgotten.
fn reopen(connection: &Connection, open: &Open, before: RunState) -> Result<(), Fault> {
    let statement = if before.ended() {
        "UPDATE run SET state = 'running', cancel_requested = 0, ended_at = NULL, error = NULL,
           output = NULL, output_hash = NULL, output_pack = NULL
         WHERE tenant_id = ? AND id = ?"
    } else {
        "UPDATE run SET state = 'running' WHERE tenant_id = ? AND id = ?"
    };
    connection.prepare_cached(statement)?.execute([id(&open.tenant.0), id(&open.run.0)])?;
    Ok(())
}
