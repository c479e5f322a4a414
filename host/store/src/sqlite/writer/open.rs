//! Open: one run is leased wherever it stands, so that it can be repaired.

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::ports::store::Open;

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
    let leased = match lease(connection, open)? {
        None if before.ended() => enqueue(connection, open, last_epoch)?,
        leased => leased,
    };
    let Some(leased) = leased else {
        return Ok(OpenedLease::Busy);
    };
    if before.ended() {
        forget_calls_heard(connection, open)?;
    } else {
        connection
            .prepare_cached("UPDATE run SET state = 'running' WHERE tenant_id = ? AND id = ?")?
            .execute([id(&open.tenant.0), id(&open.run.0)])?;
    }
    Ok(OpenedLease::Run { leased, before })
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

/// Puts a run that has ended back into the queue, under an epoch that it never had. It stays as it
/// ended until a settle lets it go on. None if somebody holds it.
fn enqueue(connection: &Connection, open: &Open, last_epoch: i64) -> Result<Option<Leased>, Fault> {
    let epoch = last_epoch.saturating_add(1);
    let new = connection
        .prepare_cached(
            "INSERT INTO queue (run_id, tenant_id, available_at, lease_owner, lease_epoch, claims)
             VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            id(&open.run.0),
            id(&open.tenant.0),
            open.until.0,
            open.worker.0,
            epoch
        ])?;
    Ok((new > 0).then(|| leased(open, epoch, 0)))
}

/// What called runs told the run before it ended, and it did not hear: where they stand now is read
/// from themselves.
fn forget_calls_heard(connection: &Connection, open: &Open) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "DELETE FROM signal AS g WHERE g.run_id = ?1 AND EXISTS (
               SELECT 1 FROM step s WHERE s.run_id = ?1 AND s.node = g.node AND s.item = g.item
                 AND s.child IS NOT NULL)",
        )?
        .execute([id(&open.run.0)])?;
    Ok(())
}

fn leased(open: &Open, epoch: i64, claims: u32) -> Leased {
    Leased { tenant: open.tenant, run: open.run, epoch, claims }
}
