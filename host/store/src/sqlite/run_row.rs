//! Rows of `run`, with the events that started them.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tombolo_core::id::{EventId, RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{EventRow, Parent, RunRow};

use super::error::Fault;
use super::pack_row::Packs;
use super::row::{BODY, BODY_PACK, Column, body, column, id, maybe_id, maybe_time, time};
use crate::record::{Damaged, Shortened, from_json, run_state, unsigned};

/// The columns that [`read`] expects, in order, of a run `r`. The output is left out of lists.
macro_rules! run_columns {
    () => {
        "r.tenant_id, r.id, r.workflow_id, r.version, r.event_id, r.trigger_name, r.state, \
         r.cancel_requested, r.correlation_id, r.created_at, r.ended_at, r.deadline, r.error, \
         r.parent_run, r.parent_node, r.parent_item, r.depth, r.replay_of, "
    };
}

/// The run's output, as [`body`] reads it.
macro_rules! output_columns {
    () => {
        "r.output, r.output_hash, rp.bytes, rp.encoding, r.output_pack"
    };
}

/// The table that the output may stand in.
macro_rules! output_payload {
    () => {
        " LEFT JOIN payload rp ON rp.hash = r.output_hash AND rp.tenant_id = r.tenant_id"
    };
}

/// The payload of an event `e`, as [`body`] reads it.
macro_rules! payload_columns {
    () => {
        "e.payload, e.payload_hash, ep.bytes, ep.encoding, e.pack"
    };
}

/// The table that an event's payload may stand in.
macro_rules! event_payload {
    () => {
        " LEFT JOIN payload ep ON ep.hash = e.payload_hash AND ep.tenant_id = e.tenant_id"
    };
}

pub(super) use {event_payload, output_columns, output_payload, payload_columns, run_columns};

/// Columns of [`run_columns`].
pub(super) const RUN: usize = 18;

/// Columns of [`run_columns`], [`output_columns`] and [`payload_columns`].
pub(super) const RUN_WITH_EVENT: usize = RUN + 2 * BODY;

/// Where a run with its event names packs.
pub(super) const PACKS: [usize; 2] = [RUN + BODY_PACK, RUN + BODY + BODY_PACK];

/// Reads [`run_columns`] from the start of a row.
pub(super) fn read(row: &SqliteRow) -> Result<RunRow, Fault> {
    let error: Option<&str> = row.try_get(12)?;
    Ok(RunRow {
        tenant: TenantId(id(row, 0)?),
        id: RunId(id(row, 1)?),
        workflow: WorkflowId(id(row, 2)?),
        version: unsigned(row.try_get(3)?)?,
        event: EventId(id(row, 4)?),
        trigger: row.try_get(5)?,
        state: run_state(row.try_get(6)?)?,
        cancel_requested: row.try_get(7)?,
        correlation_id: correlation_id(row)?,
        created_at: time(row, 9)?,
        ended_at: maybe_time(row, 10)?,
        deadline: maybe_time(row, 11)?,
        error: error.map(|text| from_json(text, "a run's error")).transpose()?,
        output: None,
        parent: parent(row)?,
        depth: unsigned(row.try_get(16)?)?,
        replay_of: maybe_id(row, 17)?.map(RunId),
    })
}

fn correlation_id(row: &SqliteRow) -> Result<String, Fault> {
    match column(row, 8)? {
        Column::Text(text) => Ok(text.to_owned()),
        Column::Bytes(bytes) => Ok(Shortened::correlation_id(bytes)),
        _ => Err(Damaged("a run has no correlation id".to_owned()).into()),
    }
}

fn parent(row: &SqliteRow) -> Result<Option<Parent>, Fault> {
    let Some(run) = maybe_id(row, 13)? else {
        return Ok(None);
    };
    let item = unsigned(row.try_get(15)?)?;
    Ok(Some(Parent { run: RunId(run), node: row.try_get(14)?, item }))
}

/// An event's payload; there always is one.
pub(super) fn payload_of_event(
    row: &SqliteRow,
    column: usize,
    packs: &Packs,
) -> Result<Json, Fault> {
    body(row, column, packs, "an event's payload")?
        .ok_or_else(|| Damaged("an event has no payload".to_owned()).into())
}

/// A run with its event, as a claim reads it.
pub(super) struct Loaded {
    pub(super) run: RunRow,
    pub(super) event: EventRow,
    /// True if a signal is there for one of its steps.
    pub(super) signalled: bool,
}

/// The queued runs of that list (see [`id_list`](super::row::id_list)) with their events. What
/// cannot be read fails alone.
pub(super) async fn with_events(
    connection: &mut SqliteConnection,
    runs: &str,
) -> Result<HashMap<RunId, Result<Loaded, Fault>>, Fault> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        run_columns!(),
        output_columns!(),
        ", ",
        payload_columns!(),
        ", EXISTS (SELECT 1 FROM signal g WHERE g.run_id = r.id)
          FROM json_each(?) j CROSS JOIN queue q ON q.run_id = unhex(j.value)
          CROSS JOIN run r ON r.tenant_id = q.tenant_id AND r.id = q.run_id
          CROSS JOIN event e ON e.tenant_id = r.tenant_id AND e.id = r.event_id",
        output_payload!(),
        event_payload!(),
    ))
    .bind(runs)
    .fetch_all(&mut *connection)
    .await?;
    let packs = Packs::of(connection, &rows, &PACKS).await?;
    rows.iter().map(|row| Ok((RunId(id(row, 1)?), load(row, &packs)))).collect()
}

fn load(row: &SqliteRow, packs: &Packs) -> Result<Loaded, Fault> {
    let (run, event) = read_with_event(row, packs)?;
    Ok(Loaded { run, event, signalled: row.try_get(RUN_WITH_EVENT)? })
}

/// [`run_columns`], [`output_columns`] and [`payload_columns`].
pub(super) fn read_with_event(row: &SqliteRow, packs: &Packs) -> Result<(RunRow, EventRow), Fault> {
    let mut run = read(row)?;
    run.output = body(row, RUN, packs, "a run's output")?;
    let event = EventRow { id: run.event, payload: payload_of_event(row, RUN + BODY, packs)? };
    Ok((run, event))
}
