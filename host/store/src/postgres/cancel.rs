//! The wish to end a run. It reaches the runs that this one has called and waits for.

use tombolo_core::audit::AuditEntry;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::CancelRequest;
use tombolo_core::run::MAX_CALL_DEPTH;
use uuid::Uuid;

use super::error::Fault;
use super::queue::these;
use super::scope::TenantTx;
use super::{audit, queue};
use crate::record::cancel_state;

/// Puts the wish on record, and makes the runs due at once unless somebody holds them.
pub(super) async fn apply(
    tx: &mut TenantTx<'_>,
    run: RunId,
    entry: Option<&AuditEntry>,
) -> Result<CancelRequest, Fault> {
    queue::lock(tx, run).await?;
    let state: Option<String> =
        sqlx::query_scalar("SELECT state FROM run WHERE tenant_id = $1 AND id = $2")
            .bind(tx.tenant().0)
            .bind(run.0)
            .fetch_optional(tx.sql())
            .await?;
    let met = cancel_state(state.as_deref())?;
    if met == CancelRequest::Requested {
        request(tx, &[run.0]).await?;
        reach_called(tx, vec![run]).await?;
        audit::append(tx, entry).await?;
    }
    Ok(met)
}

/// Puts the wish on record for the runs that these have called and that go on, and for those that
/// they have called. Not for what a run has called that has ended: nothing of it goes on.
pub(super) async fn reach_called(tx: &mut TenantTx<'_>, runs: Vec<RunId>) -> Result<(), Fault> {
    let mut level: Vec<Uuid> = runs.into_iter().map(|run| run.0).collect();
    for _ in 0..MAX_CALL_DEPTH {
        if level.is_empty() {
            break;
        }
        level = called_by(tx, &level).await?;
        request(tx, &level).await?;
    }
    Ok(())
}

/// The runs that these have called and that have not ended.
async fn called_by(tx: &mut TenantTx<'_>, runs: &[Uuid]) -> Result<Vec<Uuid>, Fault> {
    let called = sqlx::query_scalar(
        "SELECT id FROM run
         WHERE tenant_id = $1 AND parent_run = ANY($2) AND parent_run IS NOT NULL
           AND ended_at IS NULL ORDER BY id",
    )
    .bind(tx.tenant().0)
    .bind(runs)
    .fetch_all(tx.sql())
    .await?;
    Ok(called)
}

/// Before everything else that is due: it takes no work to end a run.
async fn request(tx: &mut TenantTx<'_>, runs: &[Uuid]) -> Result<(), Fault> {
    if runs.is_empty() {
        return Ok(());
    }
    sqlx::query(concat!("SELECT 1 FROM queue WHERE ", these!(), " ORDER BY run_id FOR UPDATE"))
        .bind(tx.tenant().0)
        .bind(runs)
        .execute(tx.sql())
        .await?;
    sqlx::query(concat!(
        "UPDATE queue SET cancel_requested = true,
           available_at = CASE WHEN lease_owner IS NULL THEN 0 ELSE available_at END WHERE ",
        these!(),
    ))
    .bind(tx.tenant().0)
    .bind(runs)
    .execute(tx.sql())
    .await?;
    sqlx::query("UPDATE run SET cancel_requested = true WHERE tenant_id = $1 AND id = ANY($2)")
        .bind(tx.tenant().0)
        .bind(runs)
        .execute(tx.sql())
        .await?;
    Ok(())
}
