//! Rows of `step`.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tombolo_core::id::{ContentHash, RunId, TenantId};
use tombolo_core::ports::store::StepRow;

use super::below::Below;
use super::error::Fault;
use super::pack_row::Packs;
use super::row::{Column, body, bytes, column, id, id_bytes, maybe_id, maybe_time};
use crate::record::{Damaged, content_hash, from_json, step_state, unsigned};

/// The columns that [`read`] expects, in order, of a step `s`.
macro_rules! step_columns {
    () => {
        "s.run_id, s.node, s.item, s.state, s.attempt, s.spent, \
         s.input, s.input_hash, pi.bytes, pi.encoding, s.pack, \
         s.output, s.output_hash, po.bytes, po.encoding, s.pack, \
         s.ports, s.error, s.due_at, s.started_at, s.ended_at, s.plugin, s.logs, s.child, \
         s.edits, s.redriven_after, g.hash"
    };
}

/// Where a step names its pack.
const PACK: usize = 10;

/// The tables that input and output may stand in, and that of its plugin.
macro_rules! step_payloads {
    () => {
        " LEFT JOIN payload pi ON pi.hash = s.input_hash AND pi.tenant_id = s.tenant_id \
          LEFT JOIN payload po ON po.hash = s.output_hash AND po.tenant_id = s.tenant_id \
          LEFT JOIN plugin g ON g.number = s.plugin AND g.tenant_id = s.tenant_id"
    };
}

fn read(row: &SqliteRow, packs: &Packs) -> Result<StepRow, Fault> {
    let ports = packs.text(row, 16, PACK)?;
    let error = packs.text(row, 17, PACK)?;
    let logs = packs.text(row, 22, PACK)?;
    let ports = ports.map(|text| from_json(text, "a step's ports")).transpose()?;
    let logs = logs.map(|text| from_json(text, "a step's logs")).transpose()?;
    Ok(StepRow {
        node: row.try_get(1)?,
        item: unsigned(row.try_get(2)?)?,
        state: step_state(row.try_get(3)?)?,
        attempt: unsigned(row.try_get(4)?)?,
        spent: unsigned(row.try_get(5)?)?,
        input: body(row, 6, packs, "a step's input")?,
        output: body(row, 11, packs, "a step's output")?,
        ports: ports.unwrap_or_default(),
        error: error.map(|text| from_json(text, "a step's error")).transpose()?,
        due_at: maybe_time(row, 18)?,
        started_at: maybe_time(row, 19)?,
        ended_at: maybe_time(row, 20)?,
        plugin: plugin(row)?,
        logs: logs.unwrap_or_default(),
        child: maybe_id(row, 23)?.map(RunId),
        edits: unsigned(row.try_get(24)?)?,
        redriven_after: unsigned(row.try_get(25)?)?,
    })
}

/// The plugin that the step ran: its hash, or its number and what that stands for.
fn plugin(row: &SqliteRow) -> Result<Option<ContentHash>, Fault> {
    let hash = match column(row, 21)? {
        Column::Null => return Ok(None),
        Column::Bytes(hash) => Some(hash),
        _ => bytes(row, 26)?,
    };
    let hash = hash.ok_or_else(|| Damaged("the plugin of a step is missing".to_owned()))?;
    Ok(Some(content_hash(hash)?))
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
    .fetch_all(&mut *connection)
    .await?;
    let packs = Packs::of(connection, &rows, &[PACK]).await?;
    let mut steps = Below::new();
    for row in &rows {
        steps.entry(RunId(id(row, 0)?)).or_default().add(read(row, &packs));
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
    .fetch_all(&mut *connection)
    .await?;
    let packs = Packs::of(connection, &rows, &[PACK]).await?;
    rows.iter().map(|row| read(row, &packs)).collect()
}
