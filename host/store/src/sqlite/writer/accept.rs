//! Accept: events, each once, with their runs and their places in the queue.

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::audit::runs_started;
use tombolo_core::id::{EventId, RunId};
use tombolo_core::ports::store::{Accepted, NewEvent, NewRun};
use tombolo_core::run::RunState;

use super::pack::Numbers;
use super::{audit, flow, pack, payload, step};
use crate::record::{
    AcceptItem, Damaged, RunItem, Text, correlation_id, hash_bytes, id, join_ids, split_ids, turn,
    waits,
};
use crate::sqlite::error::Fault;

/// Stores those that are new; of several events of one key the first.
pub(super) fn apply(connection: &Connection, items: &[AcceptItem]) -> Result<Vec<Accepted>, Fault> {
    items.iter().map(|item| accept(connection, item)).collect()
}

fn accept(connection: &Connection, item: &AcceptItem) -> Result<Accepted, Fault> {
    if !is_new(connection, item)? {
        return find_first(connection, item);
    }
    // Those of the runs' steps, too: an event stays as long as its runs.
    let packs = pack::of_event(connection, &item.texts.packs)?;
    payload::insert(connection, item.event.id.0, &item.texts.payloads)?;
    insert_event(connection, item, &packs)?;
    let mut runs = Vec::with_capacity(item.runs.len());
    for one in &item.runs {
        runs.push(start(connection, (&item.event, &packs), one)?);
    }
    if runs.iter().zip(&item.runs).any(|(run, one)| *run != one.run.id) {
        set_runs(connection, &item.event, &runs)?;
    }
    if let Some(entry) = &item.audit {
        let entry = runs_started(entry.clone(), &runs);
        audit::append(connection, item.event.tenant, [&entry])?;
    }
    Ok(Accepted::New { event: item.event.id, runs })
}

/// Starts a run, and gives its id: another one's, if the event joins a run that is there.
fn start(
    connection: &Connection,
    (event, packs): (&NewEvent, &Numbers),
    one: &RunItem,
) -> Result<RunId, Fault> {
    if let Some(joined) = flow::join(connection, event, &one.run)? {
        return Ok(joined);
    }
    insert_run(connection, (event, packs), one)?;
    if one.run.ended.is_none() {
        insert_queued(connection, event, &one.run)?;
    }
    if waits(&one.run) {
        flow::line_up(connection, event, &one.run)?;
    }
    step::upsert(connection, (event.tenant, one.run.id), &one.steps, packs)?;
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

/// False if the event is known. If not, it is from now on.
fn is_new(connection: &Connection, item: &AcceptItem) -> Result<bool, Fault> {
    let inserted = connection
        .prepare_cached("INSERT INTO dedupe (hash, event_id) VALUES (?, ?) ON CONFLICT DO NOTHING")?
        .execute([&item.key.hash[..], id(&item.event.id.0)])?;
    Ok(inserted == 1)
}

fn insert_event(connection: &Connection, item: &AcceptItem, packs: &Numbers) -> Result<(), Fault> {
    let event = &item.event;
    let inserted = connection
        .prepare_cached(
            "INSERT INTO event (tenant_id, id, source, dedupe_key, fingerprint, payload,
               payload_hash, received_at, run_ids, pack)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            id(&event.tenant.0),
            id(&event.id.0),
            event.source,
            item.key.key,
            event.fingerprint.as_ref().map(<[u8; 32]>::as_slice),
            item.body.text,
            hash_bytes(item.body.hash.as_ref()),
            event.received_at.0,
            join_ids(item.runs.iter().map(|item| item.run.id.0)),
            packs.last(),
        ])?;
    if inserted == 0 {
        return Err(Fault::Refused(format!("the id {} belongs to another event", event.id)));
    }
    Ok(())
}

fn insert_run(
    connection: &Connection,
    (event, packs): (&NewEvent, &Numbers),
    item: &RunItem,
) -> Result<(), Fault> {
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
               replay_of, ended_at, output, output_hash, output_pack)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id(&event.tenant.0),
            id(&run.id.0),
            id(&run.workflow.0),
            run.version,
            id(&event.id.0),
            run.trigger,
            state.name(),
            correlation_id(&event.correlation_id),
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
            packs.of(output.text.as_ref().and_then(Text::pack))?,
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
            turn(run.flow.priority),
        ])?;
    Ok(())
}

/// The event that was first with this key.
fn find_first(connection: &Connection, item: &AcceptItem) -> Result<Accepted, Fault> {
    let first = connection
        .prepare_cached(
            "SELECT e.id, e.fingerprint, e.run_ids FROM dedupe d
             CROSS JOIN event e ON e.tenant_id = ? AND e.id = d.event_id WHERE d.hash = ?",
        )?
        .query_row([id(&item.event.tenant.0), &item.key.hash[..]], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?))
        })
        .optional()?;
    let Some((first, fingerprint, runs)) = first else {
        return Err(Damaged("an event that is known is not there".to_owned()).into());
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
