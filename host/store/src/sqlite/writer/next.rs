//! What becomes of a run after a settle: it goes on, is parked, or ends.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Parent, Signal, StepKey};
use tombolo_core::run::{RunState, end_of_call, error_of_call};
use uuid::Uuid;

use super::pack::Numbers;
use super::{cancel, flow, queue, signal};
use crate::record::{Outcome, SettleItem, Text, from_json, hash_bytes, id};
use crate::sqlite::error::Fault;

/// What the queue knows of a run whose lease is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// How often it was claimed since its last settle.
    pub(super) claims: i64,
    /// It may be in lanes.
    pub(super) flow: bool,
}

/// Writes it. `packs` are those of the write, which the run names from now on.
pub(super) fn apply(
    connection: &Connection,
    item: &SettleItem,
    held: Held,
    packs: &Numbers,
) -> Result<(), Fault> {
    let run = (item.tenant, item.lease.run);
    match &item.next {
        Outcome::Hold => {
            if held.claims > 0 {
                reset_claims(connection, item)?;
            }
            name_pack(connection, item, packs)
        }
        Outcome::Park { state, available_at, connections } => {
            reopen(connection, item)?;
            park(connection, item, *available_at, connections.as_deref())?;
            if let Some(names) = connections {
                queue::wait_for(connection, (item.tenant, item.lease.run), names)?;
            }
            // One that could go on at once keeps its places.
            if held.flow && *state == RunState::Waiting {
                flow::step_aside(connection, run, item.now)?;
            }
            set_state(connection, item, *state, packs)
        }
        Outcome::End { state, .. } => {
            end(connection, item, packs)?;
            if held.flow {
                flow::leave(connection, run, item.now)?;
            }
            if *state == RunState::Cancelled {
                cancel::reach_called(connection, item.tenant, item.lease.run)?;
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

/// A run that had ended goes on: how it ended, and who asked for that, is forgotten.
fn reopen(connection: &Connection, item: &SettleItem) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "UPDATE run SET cancel_requested = 0, ended_at = NULL, error = NULL, output = NULL,
               output_hash = NULL, output_pack = NULL
             WHERE tenant_id = ? AND id = ? AND ended_at IS NOT NULL",
        )?
        .execute([id(&item.tenant.0), id(&item.lease.run.0)])?;
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

fn set_state(
    connection: &Connection,
    item: &SettleItem,
    state: RunState,
    packs: &Numbers,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "UPDATE run SET state = ?, pack = coalesce(?, pack) WHERE tenant_id = ? AND id = ?",
        )?
        .execute(params![state.name(), packs.last(), id(&item.tenant.0), id(&item.lease.run.0)])?;
    Ok(())
}

/// The run's row names the packs that were written for it, so that they go with it.
fn name_pack(connection: &Connection, item: &SettleItem, packs: &Numbers) -> Result<(), Fault> {
    if let Some(last) = packs.last() {
        connection
            .prepare_cached("UPDATE run SET pack = ? WHERE tenant_id = ? AND id = ?")?
            .execute(params![last, id(&item.tenant.0), id(&item.lease.run.0)])?;
    }
    Ok(())
}

fn end(connection: &Connection, item: &SettleItem, packs: &Numbers) -> Result<(), Fault> {
    let Outcome::End { state, output, error } = &item.next else {
        return Ok(());
    };
    connection
        .prepare_cached("DELETE FROM queue WHERE run_id = ?")?
        .execute([id(&item.lease.run.0)])?;
    let caller = connection
        .prepare_cached(
            "UPDATE run SET state = ?, ended_at = ?, error = ?, output = ?, output_hash = ?,
               output_pack = ?, last_epoch = ?, pack = coalesce(?, pack)
             WHERE tenant_id = ? AND id = ?
             RETURNING parent_run, parent_node, parent_item",
        )?
        .query_row(
            params![
                state.name(),
                item.now.0,
                error,
                output.text,
                hash_bytes(output.hash.as_ref()),
                packs.of(output.text.as_ref().and_then(Text::pack))?,
                item.lease.epoch,
                packs.last(),
                id(&item.tenant.0),
                id(&item.lease.run.0),
            ],
            // Of a run that is given up because it cannot be read, this may be what cannot.
            |row| Ok(read_caller(row).ok()),
        )
        .optional()?
        .flatten();
    match (caller, error) {
        (Some(caller), Some(error)) if *state == RunState::Failed && item.signal.is_none() => {
            tell_caller(connection, item, caller, error)
        }
        _ => Ok(()),
    }
}

fn read_caller(row: &Row<'_>) -> rusqlite::Result<Parent> {
    let run = RunId(Uuid::from_bytes(row.get(0)?));
    Ok(Parent { run, node: row.get(1)?, item: row.get(2)? })
}

/// Tells the step that called the run why it failed, as the settle does not.
fn tell_caller(
    connection: &Connection,
    item: &SettleItem,
    caller: Parent,
    error: &str,
) -> Result<(), Fault> {
    let error = error_of_call(item.lease.run, from_json(error, "a run's error")?);
    let signal = Signal {
        tenant: item.tenant,
        run: caller.run,
        step: StepKey { node: caller.node, item: caller.item },
        body: end_of_call(None, Some(&error)),
        at: item.now,
    };
    signal::tell_caller(connection, &signal.into(), item.lease.run)
}
