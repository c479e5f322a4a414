//! Settle: results of a run, under its lease. What it brings is written by the file of each kind.

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::ports::store::StoreError;

use super::next::Held;
use super::pack::Numbers;
use super::{accept, audit, journal, letter, next, pack, pause, payload, signal, state, step};
use crate::record::{EffectRecord, SettleItem, id};
use crate::sqlite::error::Fault;

/// Writes the results, or says why not: the checks come first, so that a refusal has written
/// nothing.
pub(super) fn apply(
    connection: &Connection,
    item: &SettleItem,
) -> Result<Result<(), StoreError>, Fault> {
    let Some(held) = held(connection, item)? else {
        return Ok(Err(StoreError::LeaseLost { run: item.lease.run }));
    };
    let changes = match state::check(connection, item)? {
        Ok(changes) => changes,
        Err(conflict) => return Ok(Err(conflict)),
    };
    state::write(connection, item, &changes)?;
    let packs = pack::of_run(connection, (item.tenant, item.lease.run), &item.texts.packs)?;
    write_results(connection, item, &packs)?;
    write_beside(connection, item)?;
    // Last: whether a parked run is due at once depends on its steps, its signals and the pauses.
    next::apply(connection, item, held, &packs)?;
    Ok(Ok(()))
}

/// The fence: what the queue knows of the run, if the lease is still the run's.
fn held(connection: &Connection, item: &SettleItem) -> Result<Option<Held>, Fault> {
    let held = connection
        .prepare_cached(
            "SELECT claims, flow FROM queue
             WHERE run_id = ? AND tenant_id = ? AND lease_owner = ? AND lease_epoch = ?",
        )?
        .query_row(
            params![
                id(&item.lease.run.0),
                id(&item.tenant.0),
                item.lease.owner.0,
                item.lease.epoch,
            ],
            |row| Ok(Held { claims: row.get(0)?, flow: row.get(1)? }),
        )
        .optional()?;
    Ok(held)
}

/// What nearly every run brings.
fn write_results(connection: &Connection, item: &SettleItem, packs: &Numbers) -> Result<(), Fault> {
    payload::insert(connection, item.lease.run.0, &item.texts.payloads)?;
    step::upsert(connection, (item.tenant, item.lease.run), &item.steps, packs)?;
    for effect in &item.effects {
        upsert_effect(connection, item, effect, packs.of(effect.record.pack())?)?;
    }
    journal::forget(connection, item)?;
    journal::insert(connection, item)
}

/// What few runs bring.
fn write_beside(connection: &Connection, item: &SettleItem) -> Result<(), Fault> {
    // Those that are known already are not started again.
    let _ = accept::apply(connection, &item.starts)?;
    signal::delete_used(connection, item)?;
    if let Some(end) = &item.signal {
        signal::tell_caller(connection, end, item.lease.run)?;
    }
    letter::apply(connection, item)?;
    pause::set(connection, item)?;
    audit::append(connection, item.tenant, &item.audit)?;
    if let Some(deadline) = item.deadline {
        connection
            .prepare_cached("UPDATE run SET deadline = ? WHERE tenant_id = ? AND id = ?")?
            .execute(params![deadline.0, id(&item.tenant.0), id(&item.lease.run.0)])?;
    }
    Ok(())
}

fn upsert_effect(
    connection: &Connection,
    item: &SettleItem,
    effect: &EffectRecord,
    pack: Option<i64>,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO effect (tenant_id, run_id, node, item, attempt, sequence, pack,
               record)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (run_id, node, item, attempt, sequence)
               DO UPDATE SET pack = excluded.pack, record = excluded.record",
        )?
        .execute(params![
            id(&item.tenant.0),
            id(&item.lease.run.0),
            effect.node,
            effect.item,
            effect.attempt,
            effect.sequence,
            pack,
            effect.record,
        ])?;
    Ok(())
}
