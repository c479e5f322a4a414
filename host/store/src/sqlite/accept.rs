//! Accept: events, each once, with their runs and their places in the queue.

use std::collections::{HashMap, HashSet};

use sqlx::{Row, SqliteConnection};
use tombolo_core::id::{EventId, RunId};
use tombolo_core::ports::store::{Accepted, NewEvent, NewRun};
use tombolo_core::run::RunState;

use super::bulk::{Args, Bulk, Part, insert};
use super::error::Fault;
use super::payload;
use super::row::{bytes, id};
use crate::group::Pending;
use crate::record::{AcceptItem, Damaged, join_ids, split_ids};

static EVENTS: Bulk = Bulk::new(&[insert!(
    "event (tenant_id, id, source, dedupe_key, fingerprint, payload, payload_hash,
       received_at, run_ids)",
    9,
    "ON CONFLICT DO NOTHING RETURNING id"
)]);

static FIRST: Bulk = Bulk::new(&[Part::list(
    "WITH v (n, tenant_id, source, dedupe_key) AS (",
    4,
    ") SELECT v.n, e.id, e.fingerprint, e.run_ids FROM v CROSS JOIN event e
       ON e.tenant_id = v.tenant_id AND e.source = v.source AND e.dedupe_key = v.dedupe_key",
)]);

static RUNS: Bulk = Bulk::new(&[
    insert!(
        "run (tenant_id, id, workflow_id, version, event_id, trigger_name, state, correlation_id,
           created_at, deadline)",
        10,
        ""
    ),
    insert!("queue (run_id, tenant_id, available_at, lease_owner, lease_epoch, claims)", 6, ""),
]);

/// Writes all accepts of a batch. Of several events of one key the first is stored, also within the
/// batch; the others get what it got.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    accepts: &mut [Pending<Vec<AcceptItem>, Vec<Accepted>>],
) -> Result<(), Fault> {
    let items: Vec<&AcceptItem> = accepts.iter().flat_map(|pending| &pending.ask).collect();
    let mut stored = insert_events(connection, &items).await?;
    // Whoever asks again after a failure comes with the same id, so an id counts once.
    let fresh: Vec<bool> = items.iter().map(|item| stored.remove(&item.event.id)).collect();
    let of = |wanted: bool| {
        let chosen = items.iter().zip(&fresh).filter(move |(_, fresh)| **fresh == wanted);
        chosen.map(|(item, _)| *item).collect::<Vec<_>>()
    };
    insert_runs(connection, &of(true)).await?;
    let mut known = find_first(connection, &of(false)).await?.into_iter();
    let mut outcomes: Vec<Accepted> = Vec::with_capacity(items.len());
    for (item, fresh) in items.iter().zip(&fresh) {
        outcomes.extend(if *fresh { Some(new(item)) } else { known.next() });
    }
    let mut outcomes = outcomes.into_iter();
    for pending in accepts {
        let count = pending.ask.len();
        pending.set(Ok(outcomes.by_ref().take(count).collect()));
    }
    Ok(())
}

fn new(item: &AcceptItem) -> Accepted {
    Accepted::New { event: item.event.id, runs: item.runs.iter().map(|run| run.id).collect() }
}

/// Returns the ids of those that were not known.
async fn insert_events(
    connection: &mut SqliteConnection,
    items: &[&AcceptItem],
) -> Result<HashSet<EventId>, Fault> {
    let rows = EVENTS
        .run(connection, items, |_, args, item| {
            let event = &item.event;
            args.id(event.tenant.0)
                .id(event.id.0)
                .text(&event.source)
                .text(&event.dedupe_key)
                .bytes(event.fingerprint.as_ref().map(|hash| hash.as_slice()))
                .shared_text(item.body.text.as_ref())
                .hash(item.body.hash)
                .time(event.received_at)
                .bytes(Some(&join_ids(item.runs.iter().map(|run| run.id.0))));
        })
        .await?;
    rows.iter().map(|row| Ok(EventId(id(row, 0)?))).collect()
}

async fn insert_runs(connection: &mut SqliteConnection, new: &[&AcceptItem]) -> Result<(), Fault> {
    let payloads: Vec<_> = new.iter().filter_map(|item| item.payload.as_ref()).collect();
    payload::insert(connection, &payloads).await?;
    let runs: Vec<(&NewEvent, &NewRun)> =
        new.iter().flat_map(|item| item.runs.iter().map(|run| (&item.event, run))).collect();
    RUNS.run(connection, &runs, |statement, args, (event, run)| match statement {
        0 => bind_run(args, event, run),
        _ => bind_queued(args, event, run),
    })
    .await?;
    Ok(())
}

fn bind_run(args: &mut Args, event: &NewEvent, run: &NewRun) {
    let state = match run.lease {
        Some(_) => RunState::Running,
        None => RunState::Queued,
    };
    args.id(event.tenant.0)
        .id(run.id.0)
        .id(run.workflow.0)
        .number(run.version.into())
        .id(event.id.0)
        .text(&run.trigger)
        .text(state.name())
        .text(&event.correlation_id)
        .time(event.received_at)
        .maybe_time(run.deadline);
}

fn bind_queued(args: &mut Args, event: &NewEvent, run: &NewRun) {
    args.id(run.id.0).id(event.tenant.0);
    match &run.lease {
        Some((owner, until)) => args.time(*until).text(&owner.0).number(1).number(1),
        None => args.time(event.received_at).maybe_text(None).number(0).number(0),
    };
}

/// The events that were first with the keys of `known`, in the order of `known`.
async fn find_first(
    connection: &mut SqliteConnection,
    known: &[&AcceptItem],
) -> Result<Vec<Accepted>, Fault> {
    let numbered: Vec<(usize, &AcceptItem)> = known.iter().copied().enumerate().collect();
    let rows = FIRST
        .run(connection, &numbered, |_, args, (n, item)| {
            args.number(*n as i64)
                .id(item.event.tenant.0)
                .text(&item.event.source)
                .text(&item.event.dedupe_key);
        })
        .await?;
    let mut first = HashMap::with_capacity(rows.len());
    for row in &rows {
        let fingerprint = bytes(row, 2)?
            .map(<[u8; 32]>::try_from)
            .transpose()
            .map_err(|_| Damaged("a fingerprint has not 32 bytes".to_owned()))?;
        let runs = split_ids(row.try_get(3)?)?.into_iter().map(RunId).collect();
        let event = EventId(id(row, 1)?);
        let number: i64 = row.try_get(0)?;
        first.insert(number, Accepted::Duplicate { event, runs, fingerprint });
    }
    numbered
        .iter()
        .map(|(n, item)| {
            first.remove(&(*n as i64)).ok_or_else(|| {
                Fault::Refused(format!("the id {} belongs to another event", item.event.id))
            })
        })
        .collect()
}
