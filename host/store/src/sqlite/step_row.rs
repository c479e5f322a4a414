//! Rows of `step`.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::StepRow;

use super::below::Below;
use super::error::Fault;
use super::row::{body, bytes, id, id_bytes, maybe_id, maybe_time};
use crate::record::{content_hash, from_json, step_state, unsigned};

/// The columns that [`read`] expects, in order, of a step `s`.
macro_rules! step_columns {
    () => {
        "s.run_id, s.node, s.item, s.state, s.attempt, s.spent, \
         s.input, s.input_hash, pi.bytes, pi.encoding, \
         s.output, s.output_hash, po.bytes, po.encoding, \
         s.ports, s.error, s.due_at, s.started_at, s.ended_at, s.plugin, s.logs, s.child, s.edits, \
         s.redriven_after"
    };
}

/// The tables that input and output may stand in.
macro_rules! step_payloads {
    () => {
        " LEFT JOIN payload pi ON pi.hash = s.input_hash AND pi.tenant_id = s.tenant_id \
          LEFT JOIN payload po ON po.hash = s.output_hash AND po.tenant_id = s.tenant_id"
    };
}

fn read(row: &SqliteRow) -> Result<StepRow, Fault> {
    let ports: Option<&str> = row.try_get(14)?;
    let error: Option<&str> = row.try_get(15)?;
    let logs: Option<&str> = row.try_get(20)?;
    let ports = ports.map(|text| from_json(text, "a step's ports")).transpose()?;
    let logs = logs.map(|text| from_json(text, "a step's logs")).transpose()?;
    Ok(StepRow {
        node: row.try_get(1)?,
        item: unsigned(row.try_get(2)?)?,
        state: step_state(row.try_get(3)?)?,
        attempt: unsigned(row.try_get(4)?)?,
        spent: unsigned(row.try_get(5)?)?,
        input: body(row, 6, "a step's input")?,
        output: body(row, 10, "a step's output")?,
        ports: ports.unwrap_or_default(),
        error: error.map(|text| from_json(text, "a step's error")).transpose()?,
        due_at: maybe_time(row, 16)?,
        started_at: maybe_time(row, 17)?,
        ended_at: maybe_time(row, 18)?,
        plugin: bytes(row, 19)?.map(content_hash).transpose()?,
        logs: logs.unwrap_or_default(),
        child: maybe_id(row, 21)?.map(RunId),
        edits: unsigned(row.try_get(22)?)?,
        redriven_after: unsigned(row.try_get(23)?)?,
    })
}

/// The steps of the queued runs of that list (see [`id_list`](super::row::id_list)). What cannot be
/// read fails its run only.
pub(super) async fn of_runs(
    connection: &mut SqliteConnection,
    runs: &str,
) -> Result<Below<StepRow>, Fault> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        step_columns!(),
        " FROM json_each(?) j CROSS JOIN queue q ON q.run_id = unhex(j.value)
          CROSS JOIN step s ON s.tenant_id = q.tenant_id AND s.run_id = q.run_id",
        step_payloads!(),
    ))
    .bind(runs)
    .fetch_all(connection)
    .await?;
    let mut steps = Below::new();
    for row in &rows {
        steps.entry(RunId(id(row, 0)?)).or_default().add(read(row));
    }
    Ok(steps)
}

/// The steps of one run.
pub(super) async fn of_run(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    run: RunId,
) -> Result<Vec<StepRow>, Fault> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        step_columns!(),
        " FROM step s",
        step_payloads!(),
        " WHERE s.tenant_id = ? AND s.run_id = ?",
    ))
    .bind(id_bytes(tenant.0))
    .bind(id_bytes(run.0))
    .fetch_all(connection)
    .await?;
    rows.iter().map(read).collect()
}
