//! What comes for a step from outside.

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::Signalled;
use tombolo_core::run::RunState;

use super::{audit, payload, queue};
use crate::record::{SettleItem, SignalItem, hash_bytes, id, run_state};
use crate::sqlite::error::Fault;

/// Keeps a signal, unless one is there.
pub(super) fn keep(connection: &Connection, signal: &SignalItem) -> Result<Signalled, Fault> {
    match run(connection, signal.tenant, signal.run)? {
        None => return Ok(Signalled::Unknown),
        Some(state) if state.ended() => return Ok(Signalled::Ended(state)),
        Some(_) => {}
    }
    let kept = connection
        .prepare_cached(
            "INSERT INTO signal (tenant_id, run_id, node, item, body, body_hash, at)
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, node, item) DO NOTHING",
        )?
        .execute(params![
            id(&signal.tenant.0),
            id(&signal.run.0),
            signal.step.node,
            signal.step.item,
            signal.body.text,
            hash_bytes(signal.body.hash.as_ref()),
            signal.at.0,
        ])?;
    if kept == 0 {
        return Ok(Signalled::Taken);
    }
    payload::insert(connection, signal.run.0, &signal.payloads)?;
    audit::append(connection, signal.tenant, &signal.audit)?;
    queue::wake(connection, signal.run, signal.at)?;
    Ok(Signalled::Kept)
}

/// Tells the step that called `ended` how it ended, in place of what an earlier end told it. A step
/// that has called another run since is told nothing, nor one whose run has ended, unless that is
/// being repaired.
pub(super) fn tell_caller(
    connection: &Connection,
    signal: &SignalItem,
    ended: RunId,
) -> Result<(), Fault> {
    if !goes_on(connection, signal)? || calls_another(connection, signal, ended)? {
        return Ok(());
    }
    payload::insert(connection, signal.run.0, &signal.payloads)?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO signal (tenant_id, run_id, node, item, body, body_hash, at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id(&signal.tenant.0),
            id(&signal.run.0),
            signal.step.node,
            signal.step.item,
            signal.body.text,
            hash_bytes(signal.body.hash.as_ref()),
            signal.at.0,
        ])?;
    queue::wake(connection, signal.run, signal.at)
}

/// True for a run in the queue: of those that have ended, one that is being repaired.
fn goes_on(connection: &Connection, signal: &SignalItem) -> Result<bool, Fault> {
    let queued = connection
        .prepare_cached("SELECT 1 FROM queue WHERE run_id = ? AND tenant_id = ?")?
        .exists(params![id(&signal.run.0), id(&signal.tenant.0)])?;
    Ok(queued)
}

/// True if the step waits for another run by now: it was begun anew.
fn calls_another(
    connection: &Connection,
    signal: &SignalItem,
    ended: RunId,
) -> Result<bool, Fault> {
    let another = connection
        .prepare_cached(
            "SELECT 1 FROM step WHERE run_id = ? AND node = ? AND item = ? AND child <> ?",
        )?
        .exists(params![id(&signal.run.0), signal.step.node, signal.step.item, id(&ended.0),])?;
    Ok(another)
}

/// Deletes the signals that a run has used.
pub(super) fn delete_used(connection: &Connection, item: &SettleItem) -> Result<(), Fault> {
    for step in &item.used {
        connection
            .prepare_cached("DELETE FROM signal WHERE run_id = ? AND node = ? AND item = ?")?
            .execute(params![id(&item.lease.run.0), step.node, step.item])?;
    }
    Ok(())
}

/// Where a run stands.
fn run(connection: &Connection, tenant: TenantId, run: RunId) -> Result<Option<RunState>, Fault> {
    let state: Option<String> = connection
        .prepare_cached("SELECT state FROM run WHERE tenant_id = ? AND id = ?")?
        .query_row([id(&tenant.0), id(&run.0)], |row| row.get(0))
        .optional()?;
    Ok(state.as_deref().map(run_state).transpose()?)
}
