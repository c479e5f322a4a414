//! Accept: events, each once, with their runs and their places in the queue.

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::id::{EventId, RunId};
use tombolo_core::ports::store::{Accepted, NewEvent, NewRun};
use tombolo_core::run::RunState;

use super::{flow, payload, step};
use crate::record::{AcceptItem, Damaged, RunItem, hash_bytes, id, join_ids, split_ids};
use crate::sqlite::error::Fault;

/// Stores those that are new; of several events of one key the first.
pub(super) fn apply(connection: &Connection, items: &[AcceptItem]) -> Result<Vec<Accepted>, Fault> {
    items.iter().map(|item| accept(connection, item)).collect()
}

fn accept(connection: &Connection, item: &AcceptItem) -> Result<Accepted, Fault> {
    if !insert_event(connection, item)? {
        return find_first(connection, &item.event);
    }
    // Those of the runs' steps, too: an event stays as long as its runs.
    payload::insert(connection, item.event.id.0, &item.payloads)?;
    let mut runs = Vec::with_capacity(item.runs.len());
    for one in &item.runs {
        runs.push(start(connection, &item.event, one)?);
    }
    if runs.iter().zip(&item.runs).any(|(run, one)| *run != one.run.id) {
        set_runs(connection, &item.event, &runs)?;
    }
    Ok(Accepted::New { event: item.event.id, runs })
}

/// Starts a run, and gives its id: another one's, if the event joins a run that is there.
fn start(connection: &Connection, event: &NewEvent, one: &RunItem) -> Result<RunId, Fault> {
    if let Some(joined) = flow::join(connection, event, &one.run)? {
        return Ok(joined);
    }
    insert_run(connection, event, one)?;
    if one.run.ended.is_none() {
        insert_queued(connection, event, &one.run)?;
    }
    if flow::waits(&one.run) {
        flow::line_up(connection, event, &one.run)?;
    }
    step::upsert(connection, event.tenant, one.run.id, &one.steps)?;
    Ok(one.run.id)
}

fn set_runs(connection: &Connection, event: &NewEvent, runs: &[RunId]) -> Result<(), Fault> {
    connection
        .prepare_cached("UPDATE event SET run_ids = ? WHERE tenant_id = ? AND id = ?")?
        .execute(params![
            join_ids(runs.iter().map(|run| run.0)),
            id(&event.tenant.0),
            id(&event.id.0)
        ])?;
    Ok(())
}

/// False if the event is known.
fn insert_event(connection: &Connection, item: &AcceptItem) -> Result<bool, Fault> {
    let event = &item.event;
    let inserted = connection
        .prepare_cached(
            "INSERT INTO event (tenant_id, id, source, dedupe_key, fingerprint, payload,
               payload_hash, received_at, run_ids)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            id(&event.tenant.0),
            id(&event.id.0),
            event.source,
            event.dedupe_key,
            event.fingerprint.as_ref().map(<[u8; 32]>::as_slice),
            item.body.text,
            hash_bytes(item.body.hash.as_ref()),
            event.received_at.0,
            join_ids(item.runs.iter().map(|item| item.run.id.0)),
        ])?;
    Ok(inserted == 1)
}

fn insert_run(connection: &Connection, event: &NewEvent, item: &RunItem) -> Result<(), Fault> {
    let RunItem { run, output, .. } = item;
    let state = match (&run.ended, &run.lease) {
        (Some(ended), _) => ended.state,
        (None, Some(_)) => RunState::Running,
        (None, None) => RunState::Queued,
    };
    let parent = run.parent.as_ref();
    connection
        .prepare_cached(
            "INSERT INTO run (tenant_id, id, workflow_id, version, event_id, trigger_name, state,
               correlation_id, created_at, deadline, parent_run, parent_node, parent_item, depth,
               replay_of, ended_at, output, output_hash)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id(&event.tenant.0),
            id(&run.id.0),
            id(&run.workflow.0),
            run.version,
            id(&event.id.0),
            run.trigger,
            state.name(),
            event.correlation_id,
            event.received_at.0,
            run.deadline.map(|time| time.0),
            parent.map(|parent| id(&parent.run.0)),
            parent.map(|parent| &parent.node),
            parent.map(|parent| parent.item),
            run.depth,
            run.replay_of.as_ref().map(|run| id(&run.0)),
            run.ended.as_ref().map(|ended| ended.at.0),
            output.text,
            hash_bytes(output.hash.as_ref()),
        ])?;
    Ok(())
}

fn insert_queued(connection: &Connection, event: &NewEvent, run: &NewRun) -> Result<(), Fault> {
    let (available_at, owner, times) = match &run.lease {
        Some((owner, until)) => (*until, Some(&owner.0), 1),
        None => (event.received_at, None, 0),
    };
    connection
        .prepare_cached(
            "INSERT INTO queue (run_id, tenant_id, available_at, lease_owner, lease_epoch, claims,
               priority)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
        )?
        .execute(params![
            id(&run.id.0),
            id(&event.tenant.0),
            available_at.0,
            owner,
            times,
            flow::turn(run.flow.priority),
        ])?;
    Ok(())
}

/// The event that was first with this key.
fn find_first(connection: &Connection, event: &NewEvent) -> Result<Accepted, Fault> {
    let first = connection
        .prepare_cached(
            "SELECT id, fingerprint, run_ids FROM event
             WHERE tenant_id = ? AND source = ? AND dedupe_key = ?",
        )?
        .query_row(params![id(&event.tenant.0), event.source, event.dedupe_key], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?))
        })
        .optional()?;
    let Some((first, fingerprint, runs)) = first else {
        let reason = format!("the id {} belongs to another event", event.id);
        return Err(Fault::Refused(reason));
    };
    let fingerprint: Option<Vec<u8>> = fingerprint;
    Ok(Accepted::Duplicate {
        event: EventId(uuid::Uuid::from_bytes(first)),
        runs: split_ids(&runs)?.into_iter().map(RunId).collect(),
        fingerprint: fingerprint
            .map(<[u8; 32]>::try_from)
            .transpose()
            .map_err(|_| Damaged("a fingerprint has not 32 bytes".to_owned()))?,
    })
}
