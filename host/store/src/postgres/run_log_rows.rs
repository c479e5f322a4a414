//! What the log of runs is asked without a lease.

use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::Signal;
use uuid::Uuid;

use super::error::Fault;
use super::scope::{HostTx, TenantTx};
use super::text::text;
use crate::record::due;
use crate::rows::{self, Columns, signals};

/// What came for a run's steps and is not used yet.
pub(super) async fn signals(tx: &mut TenantTx<'_>, run: RunId) -> Result<Vec<Signal>, Fault> {
    let rows = sqlx::query(signals!(
        "signal g",
        "WHERE g.tenant_id = $1 AND g.run_id = $2 ORDER BY g.node, g.item"
    ))
    .bind(tx.tenant().0)
    .bind(run.0)
    .fetch_all(tx.sql())
    .await?;
    rows.iter().map(|row| Ok(rows::signal(row)?)).collect()
}

/// Which of these runs go on and are to end. A run that had ended by such a wish and is repaired is
/// not to end again: the queue's row says so.
pub(super) async fn cancel_requested(
    tx: &mut HostTx<'_>,
    among: &[RunId],
) -> Result<Vec<RunId>, Fault> {
    let among: Vec<Uuid> = among.iter().map(|run| run.0).collect();
    let rows = sqlx::query("SELECT run_id FROM queue WHERE run_id = ANY($1) AND cancel_requested")
        .bind(among)
        .fetch_all(tx.sql())
        .await?;
    rows.iter().map(|row| Ok(RunId(row.id(0)?))).collect()
}

/// When the next run in the queue is due: one look into the index for each priority.
pub(super) async fn next_due(tx: &mut HostTx<'_>) -> Result<Option<Timestamp>, Fault> {
    let row = sqlx::query(
        "SELECT least(
           (SELECT available_at FROM queue WHERE priority = 0 ORDER BY available_at LIMIT 1),
           (SELECT available_at FROM queue WHERE priority = 1 ORDER BY available_at LIMIT 1),
           (SELECT available_at FROM queue WHERE priority = 2 ORDER BY available_at LIMIT 1))",
    )
    .fetch_one(tx.sql())
    .await?;
    Ok(row.maybe_time(0)?.and_then(due))
}

/// The committed state of a node: value and version.
pub(super) async fn node_state(
    tx: &mut TenantTx<'_>,
    workflow: WorkflowId,
    node: &str,
    key: &str,
) -> Result<Option<(Json, u64)>, Fault> {
    let row = sqlx::query(
        "SELECT value, version FROM state
         WHERE tenant_id = $1 AND workflow_id = $2 AND node = $3 AND key = $4",
    )
    .bind(tx.tenant().0)
    .bind(workflow.0)
    .bind(text(node))
    .bind(key.as_bytes())
    .fetch_optional(tx.sql())
    .await?;
    Ok(row.as_ref().map(rows::node_state).transpose()?)
}
