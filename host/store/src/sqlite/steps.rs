//! Fetching steps.

use sqlx::SqliteConnection;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::StepRow;

use super::error::Fault;
use super::ids::id_bytes;
use super::packs;
use crate::rows::{Below, STEP_PACK, below, step, step_columns, step_payloads};

/// The columns. A step names its plugin by its number or by its hash.
macro_rules! columns {
    () => {
        step_columns!(
            "CASE typeof(s.plugin) WHEN 'integer' THEN coalesce(g.hash, x'') ELSE s.plugin END"
        )
    };
}

/// The table of the plugin.
macro_rules! plugin {
    () => {
        " LEFT JOIN plugin g ON g.number = s.plugin AND g.tenant_id = s.tenant_id"
    };
}

/// The steps of the queued runs of that list (see [`id_list`](super::ids::id_list)). What cannot be
/// read fails its run only.
pub(super) async fn of_runs(
    connection: &mut SqliteConnection,
    runs: &str,
) -> Result<Below<StepRow>, Fault> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM json_each(?) j CROSS JOIN queue q ON q.run_id = unhex(j.value)
          CROSS JOIN step s ON s.tenant_id = q.tenant_id AND s.run_id = q.run_id",
        step_payloads!(),
        plugin!(),
    ))
    .bind(runs)
    .fetch_all(&mut *connection)
    .await?;
    let packs = packs::of(connection, &rows, &[STEP_PACK]).await?;
    Ok(below(&rows, |row| step(row, &packs))?)
}

/// The steps of one run.
pub(super) async fn of_run(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    run: RunId,
) -> Result<Vec<StepRow>, Fault> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM step s",
        step_payloads!(),
        plugin!(),
        " WHERE s.tenant_id = ? AND s.run_id = ?",
    ))
    .bind(id_bytes(tenant.0))
    .bind(id_bytes(run.0))
    .fetch_all(&mut *connection)
    .await?;
    let packs = packs::of(connection, &rows, &[STEP_PACK]).await?;
    rows.iter().map(|row| Ok(step(row, &packs)?)).collect()
}
