//! What becomes of a run after a settle: it goes on, is parked, or ends.

use rusqlite::{Connection, params};
use tombolo_core::clock::Timestamp;
use tombolo_core::run::RunState;

use super::{cancel, queue};
use crate::record::{Outcome, SettleItem, hash_bytes, id};
use crate::sqlite::error::Fault;

/// Writes it; `claims` is how often the run was claimed since its last settle.
pub(super) fn apply(connection: &Connection, item: &SettleItem, claims: i64) -> Result<(), Fault> {
    match &item.next {
        Outcome::Hold if claims > 0 => reset_claims(connection, item),
        Outcome::Hold => Ok(()),
        Outcome::Park { state, available_at, connections } => {
            park(connection, item, *available_at, connections.as_deref())?;
            if let Some(names) = connections {
                queue::wait_for(connection, (item.tenant, item.lease.run), names)?;
            }
            set_state(connection, item, *state)
        }
        Outcome::End { state, .. } => {
            end(connection, item)?;
            if *state == RunState::Cancelled {
                cancel::reach_called(connection, item.tenant, item.lease.run, item.now)?;
            }
            Ok(())
        }
    }
}

fn reset_claims(connection: &Connection, item: &SettleItem) -> Result<(), Fault> {
    connection
        .prepare_cached("UPDATE queue SET claims = 0 WHERE run_id = ?")?
        .execute([id(&item.lease.run.0)])?;
    Ok(())
}

/// Gives the lease back. Due at once if somebody asked for the run's end, if a signal is there for a
/// step that waits, or if a connection it waits for is not paused.
fn park(
    connection: &Connection,
    item: &SettleItem,
    available_at: Timestamp,
    connections: Option<&str>,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "UPDATE queue SET lease_owner = NULL, claims = 0, connections = ?5,
               available_at = CASE
                 WHEN (SELECT cancel_requested FROM run WHERE tenant_id = ?1 AND id = ?2)
                   OR EXISTS (SELECT 1 FROM signal g CROSS JOIN step s
                                ON s.run_id = g.run_id AND s.node = g.node AND s.item = g.item
                              WHERE g.run_id = ?2 AND s.state = 'waiting')
                   OR EXISTS (SELECT 1 FROM json_each(?5) j
                              WHERE NOT EXISTS (SELECT 1 FROM connection c
                                                WHERE c.tenant_id = ?1 AND c.name = j.value
                                                  AND c.paused_at IS NOT NULL))
                   THEN min(?3, ?4)
                 ELSE ?3 END
             WHERE run_id = ?2",
        )?
        .execute(params![
            id(&item.tenant.0),
            id(&item.lease.run.0),
            available_at.0,
            item.now.0,
            connections,
        ])?;
    Ok(())
}

fn set_state(connection: &Connection, item: &SettleItem, state: RunState) -> Result<(), Fault> {
    connection
        .prepare_cached("UPDATE run SET state = ? WHERE tenant_id = ? AND id = ?")?
        .execute(params![state.name(), id(&item.tenant.0), id(&item.lease.run.0)])?;
    Ok(())
}

fn end(connection: &Connection, item: &SettleItem) -> Result<(), Fault> {
    let Outcome::End { state, output, error } = &item.next else {
        return Ok(());
    };
    connection
        .prepare_cached("DELETE FROM queue WHERE run_id = ?")?
        .execute([id(&item.lease.run.0)])?;
    connection
        .prepare_cached(
            "UPDATE run SET state = ?, ended_at = ?, error = ?, output = ?, output_hash = ?,
               last_epoch = ?
             WHERE tenant_id = ? AND id = ?",
        )?
        .execute(params![
            state.name(),
            item.now.0,
            error,
            output.text,
            hash_bytes(output.hash.as_ref()),
            item.lease.epoch,
            id(&item.tenant.0),
            id(&item.lease.run.0),
        ])?;
    Ok(())
}
