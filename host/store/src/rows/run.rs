//! Rows of `run`, with the events that started them.

use std::collections::HashMap;

use tombolo_core::id::{EventId, RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{EventRow, Parent, RunRow, RunSummary};

use super::body::body;
use super::{BODY, BODY_PACK, Columns, Packs, ReadFault};
use crate::record::{Column, Damaged, Shortened, from_json, run_state, unsigned};

/// The columns of a run `r`, in the order that they are read in. The output is left out of lists.
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

pub(crate) use {event_payload, output_columns, output_payload, payload_columns, run_columns};

/// Columns of [`run_columns`].
const RUN: usize = 18;

/// Columns of [`run_columns`], [`output_columns`] and [`payload_columns`].
pub(crate) const RUN_WITH_EVENT: usize = RUN + 2 * BODY;

/// Where a run with its event names packs.
pub(crate) const RUN_PACKS: [usize; 2] = [RUN + BODY_PACK, RUN + BODY + BODY_PACK];

/// Reads [`run_columns`] from the start of a row.
fn run(row: &impl Columns) -> Result<RunRow, ReadFault> {
    let error = row.maybe_text(12)?;
    Ok(RunRow {
        tenant: TenantId(row.id(0)?),
        id: RunId(row.id(1)?),
        workflow: WorkflowId(row.id(2)?),
        version: unsigned(row.number(3)?)?,
        event: EventId(row.id(4)?),
        trigger: row.text(5)?.to_owned(),
        state: run_state(row.text(6)?)?,
        cancel_requested: row.flag(7)?,
        correlation_id: correlation_id(row)?,
        created_at: row.time(9)?,
        ended_at: row.maybe_time(10)?,
        deadline: row.maybe_time(11)?,
        error: error.map(|text| from_json(text, "a run's error")).transpose()?,
        output: None,
        parent: parent(row)?,
        depth: unsigned(row.number(16)?)?,
        replay_of: row.maybe_id(17)?.map(RunId),
    })
}

fn correlation_id(row: &impl Columns) -> Result<String, ReadFault> {
    match row.any(8)? {
        Column::Text(text) => Ok(text.to_owned()),
        Column::Bytes(bytes) => Ok(Shortened::correlation_id(bytes)),
        _ => Err(Damaged("a run has no correlation id".to_owned()).into()),
    }
}

fn parent(row: &impl Columns) -> Result<Option<Parent>, ReadFault> {
    let Some(run) = row.maybe_id(13)? else {
        return Ok(None);
    };
    let item = unsigned(row.number(15)?)?;
    Ok(Some(Parent { run: RunId(run), node: row.text(14)?.to_owned(), item }))
}

/// Reads [`run_columns`] and the workflow's name.
pub(crate) fn summary(row: &impl Columns) -> Result<RunSummary, ReadFault> {
    Ok(RunSummary { run: run(row)?, workflow_name: row.text(RUN)?.to_owned() })
}

/// Reads [`run_columns`], [`output_columns`] and [`payload_columns`].
pub(crate) fn run_with_event(
    row: &impl Columns,
    packs: &Packs,
) -> Result<(RunRow, EventRow), ReadFault> {
    let mut run = run(row)?;
    run.output = body(row, RUN, packs, "a run's output")?;
    let event = EventRow { id: run.event, payload: payload_of_event(row, RUN + BODY, packs)? };
    Ok((run, event))
}

/// An event's payload; there always is one.
pub(super) fn payload_of_event(
    row: &impl Columns,
    column: usize,
    packs: &Packs,
) -> Result<Json, ReadFault> {
    body(row, column, packs, "an event's payload")?
        .ok_or_else(|| Damaged("an event has no payload".to_owned()).into())
}

/// A run with its event, as a claim reads it.
pub(crate) struct Loaded {
    pub(super) run: RunRow,
    pub(super) event: EventRow,
    /// True if a signal is there for one of its steps.
    pub(super) signalled: bool,
}

/// Reads what [`run_with_event`] reads, and whether there is a signal. What cannot be read fails
/// alone.
pub(crate) fn loaded<R: Columns>(
    rows: &[R],
    packs: &Packs,
) -> Result<HashMap<RunId, Result<Loaded, ReadFault>>, ReadFault> {
    let load = |row: &R| {
        let (run, event) = run_with_event(row, packs)?;
        Ok(Loaded { run, event, signalled: row.flag(RUN_WITH_EVENT)? })
    };
    rows.iter().map(|row| Ok((RunId(row.id(1)?), load(row)))).collect()
}
