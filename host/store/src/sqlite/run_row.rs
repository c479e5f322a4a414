//! Rows of `run`, with the events that started them.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tombolo_core::id::{EventId, RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{EventRow, RunRow};

use super::error::Fault;
use super::row::{bytes, id, maybe_time, time};
use crate::record::{Damaged, from_json, run_state, stored_body, unsigned};

/// The columns that [`read`] expects, in order, of a run `r`. The output is left out of lists.
macro_rules! run_columns {
    () => {
        "r.tenant_id, r.id, r.workflow_id, r.version, r.event_id, r.trigger_name, r.state, \
         r.cancel_requested, r.correlation_id, r.created_at, r.ended_at, r.deadline, r.error, "
    };
}

/// The run's output, joined from `payload` where it stands there: two columns.
macro_rules! output_columns {
    () => {
        "coalesce(r.output, (SELECT CAST(p.bytes AS TEXT) FROM payload p \
           WHERE p.hash = r.output_hash AND p.tenant_id = r.tenant_id)), r.output_hash"
    };
}

/// The event's payload, in the same way, of an event `e`.
macro_rules! payload_columns {
    () => {
        "coalesce(e.payload, (SELECT CAST(p.bytes AS TEXT) FROM payload p \
           WHERE p.hash = e.payload_hash AND p.tenant_id = e.tenant_id)), e.payload_hash"
    };
}

pub(super) use {output_columns, payload_columns, run_columns};

/// Columns of [`run_columns`].
pub(super) const RUN: usize = 13;

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
        correlation_id: row.try_get(8)?,
        created_at: time(row, 9)?,
        ended_at: maybe_time(row, 10)?,
        deadline: maybe_time(row, 11)?,
        error: error.map(|text| from_json(text, "a run's error")).transpose()?,
        output: None,
    })
}

/// Reads a text and its hash from two columns.
pub(super) fn body(row: &SqliteRow, column: usize, what: &str) -> Result<Option<Json>, Fault> {
    Ok(stored_body(row.try_get(column)?, bytes(row, column + 1)?, what)?)
}

/// An event's payload from two columns; there always is one.
pub(super) fn event_payload(row: &SqliteRow, column: usize) -> Result<Json, Fault> {
    body(row, column, "an event's payload")?
        .ok_or_else(|| Damaged("an event has no payload".to_owned()).into())
}

/// The queued runs of that list (see [`id_list`](super::row::id_list)) with their events. What
/// cannot be read fails alone.
pub(super) async fn with_events(
    connection: &mut SqliteConnection,
    runs: &str,
) -> Result<HashMap<RunId, Result<(RunRow, EventRow), Fault>>, Fault> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        run_columns!(),
        output_columns!(),
        ", ",
        payload_columns!(),
        " FROM json_each(?) j CROSS JOIN queue q ON q.run_id = unhex(j.value)
          CROSS JOIN run r ON r.tenant_id = q.tenant_id AND r.id = q.run_id
          CROSS JOIN event e ON e.tenant_id = r.tenant_id AND e.id = r.event_id"
    ))
    .bind(runs)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok((RunId(id(row, 1)?), read_with_event(row)))).collect()
}

/// [`run_columns`], [`output_columns`] and [`payload_columns`].
pub(super) fn read_with_event(row: &SqliteRow) -> Result<(RunRow, EventRow), Fault> {
    let mut run = read(row)?;
    run.output = body(row, RUN, "a run's output")?;
    let event = EventRow { id: run.event, payload: event_payload(row, RUN + 2)? };
    Ok((run, event))
}
