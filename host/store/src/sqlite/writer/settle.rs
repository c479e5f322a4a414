//! Settle: results of a run, under its lease.

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::ports::store::StoreError;

use super::{payload, state};
use crate::record::{EffectRecord, JournalRecord, Outcome, SettleItem, StepRecord, hash_bytes, id};
use crate::sqlite::error::Fault;

/// Writes the results, or says why not: the checks come first, so that a refusal has written
/// nothing.
pub(super) fn apply(
    connection: &Connection,
    item: &SettleItem,
) -> Result<Result<(), StoreError>, Fault> {
    let Some(claims) = held(connection, item)? else {
        return Ok(Err(StoreError::LeaseLost { run: item.lease.run }));
    };
    let changes = match state::check(connection, item)? {
        Ok(changes) => changes,
        Err(conflict) => return Ok(Err(conflict)),
    };
    state::write(connection, item, &changes)?;
    for payload in &item.payloads {
        payload::insert(connection, payload)?;
    }
    for step in &item.steps {
        upsert_step(connection, item, step)?;
    }
    for effect in &item.effects {
        upsert_effect(connection, item, effect)?;
    }
    for entry in &item.journal {
        insert_journaled(connection, item, entry)?;
    }
    match &item.next {
        Outcome::Hold if claims > 0 => reset_claims(connection, item)?,
        Outcome::Hold => {}
        Outcome::Park { .. } => park(connection, item)?,
        Outcome::End { .. } => end(connection, item)?,
    }
    Ok(Ok(()))
}

/// The fence: how often the run was claimed since its last settle, if the lease is still the run's.
fn held(connection: &Connection, item: &SettleItem) -> Result<Option<i64>, Fault> {
    let claims = connection
        .prepare_cached(
            "SELECT claims FROM queue
             WHERE run_id = ? AND tenant_id = ? AND lease_owner = ? AND lease_epoch = ?",
        )?
        .query_row(
            params![
                id(&item.lease.run.0),
                id(&item.tenant.0),
                item.lease.owner.0,
                item.lease.epoch,
            ],
            |row| row.get(0),
        )
        .optional()?;
    Ok(claims)
}

fn upsert_step(connection: &Connection, item: &SettleItem, step: &StepRecord) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO step (tenant_id, run_id, node, item, state, attempt, spent, input,
               input_hash, output, output_hash, ports, error, due_at, started_at, ended_at,
               plugin, logs)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (run_id, node, item) DO UPDATE SET state = excluded.state,
               attempt = excluded.attempt, spent = excluded.spent, input = excluded.input,
               input_hash = excluded.input_hash, output = excluded.output,
               output_hash = excluded.output_hash, ports = excluded.ports,
               error = excluded.error, due_at = excluded.due_at,
               started_at = excluded.started_at, ended_at = excluded.ended_at,
               plugin = excluded.plugin, logs = excluded.logs",
        )?
        .execute(params![
            id(&item.tenant.0),
            id(&item.lease.run.0),
            step.node,
            step.item,
            step.state,
            step.attempt,
            step.spent,
            step.input.text,
            hash_bytes(step.input.hash.as_ref()),
            step.output.text,
            hash_bytes(step.output.hash.as_ref()),
            step.ports,
            step.error,
            step.due_at.map(|time| time.0),
            step.started_at.map(|time| time.0),
            step.ended_at.map(|time| time.0),
            hash_bytes(step.plugin.as_ref()),
            step.logs,
        ])?;
    Ok(())
}

fn upsert_effect(
    connection: &Connection,
    item: &SettleItem,
    effect: &EffectRecord,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO effect (tenant_id, run_id, node, item, attempt, sequence, record)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (run_id, node, item, attempt, sequence)
               DO UPDATE SET record = excluded.record",
        )?
        .execute(params![
            id(&item.tenant.0),
            id(&item.lease.run.0),
            effect.node,
            effect.item,
            effect.attempt,
            effect.sequence,
            effect.record,
        ])?;
    Ok(())
}

/// What was written first stays: it is what happened first.
fn insert_journaled(
    connection: &Connection,
    item: &SettleItem,
    entry: &JournalRecord,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO journal (tenant_id, run_id, node, item, place, request_hash, status,
               headers, body)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (run_id, node, item, place) DO NOTHING",
        )?
        .execute(params![
            id(&item.tenant.0),
            id(&item.lease.run.0),
            entry.node,
            entry.item,
            entry.place,
            entry.request_hash.as_slice(),
            entry.answer.as_ref().map(|answer| answer.status),
            entry.answer.as_ref().map(|answer| answer.headers.as_str()),
            entry.answer.as_ref().map(|answer| &answer.body[..]),
        ])?;
    Ok(())
}

fn reset_claims(connection: &Connection, item: &SettleItem) -> Result<(), Fault> {
    connection
        .prepare_cached("UPDATE queue SET claims = 0 WHERE run_id = ?")?
        .execute([id(&item.lease.run.0)])?;
    Ok(())
}

fn park(connection: &Connection, item: &SettleItem) -> Result<(), Fault> {
    let Outcome::Park { state, available_at, now } = &item.next else {
        return Ok(());
    };
    connection
        .prepare_cached(
            "UPDATE queue SET lease_owner = NULL, claims = 0, available_at = CASE
               WHEN (SELECT cancel_requested FROM run WHERE tenant_id = ?1 AND id = ?2)
                 THEN min(?3, ?4)
               ELSE ?3 END
             WHERE run_id = ?2",
        )?
        .execute(params![id(&item.tenant.0), id(&item.lease.run.0), available_at.0, now.0])?;
    connection
        .prepare_cached("UPDATE run SET state = ? WHERE tenant_id = ? AND id = ?")?
        .execute(params![state.name(), id(&item.tenant.0), id(&item.lease.run.0)])?;
    Ok(())
}

fn end(connection: &Connection, item: &SettleItem) -> Result<(), Fault> {
    let Outcome::End { state, ended_at, output, error } = &item.next else {
        return Ok(());
    };
    connection
        .prepare_cached("DELETE FROM queue WHERE run_id = ?")?
        .execute([id(&item.lease.run.0)])?;
    connection
        .prepare_cached(
            "UPDATE run SET state = ?, ended_at = ?, error = ?, output = ?, output_hash = ?
             WHERE tenant_id = ? AND id = ?",
        )?
        .execute(params![
            state.name(),
            ended_at.0,
            error,
            output.text,
            hash_bytes(output.hash.as_ref()),
            id(&item.tenant.0),
            id(&item.lease.run.0),
        ])?;
    Ok(())
}
