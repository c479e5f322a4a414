//! What comes for a step from outside.

use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Signalled, StepKey};
use tombolo_core::run::RunState;

use super::any;
use super::error::Fault;
use super::scope::TenantTx;
use super::writer::payload;
use super::{audit, queue};
use crate::record::{SignalItem, hash_bytes, run_state};

/// Keeps a signal, unless one is there.
pub(super) async fn keep(tx: &mut TenantTx<'_>, signal: &SignalItem) -> Result<Signalled, Fault> {
    queue::lock(tx, signal.run).await?;
    match run(tx, signal.run).await? {
        None => return Ok(Signalled::Unknown),
        Some(state) if state.ended() => return Ok(Signalled::Ended(state)),
        Some(_) => {}
    }
    if !insert(tx, signal, IfThere::Keep).await? {
        return Ok(Signalled::Taken);
    }
    store_payloads(tx, signal).await?;
    queue::wake(tx, signal.run, signal.at).await?;
    audit::append(tx, &signal.audit).await?;
    Ok(Signalled::Kept)
}

/// Tells the step that called `ended` how it ended, in place of what an earlier end told it. A step
/// that has called another run since is told nothing, nor one whose run has ended, unless that is
/// being repaired.
pub(super) async fn tell_caller(
    tx: &mut TenantTx<'_>,
    signal: &SignalItem,
    ended: RunId,
) -> Result<(), Fault> {
    if !queue::lock(tx, signal.run).await? || calls_another(tx, signal, ended).await? {
        return Ok(());
    }
    store_payloads(tx, signal).await?;
    insert(tx, signal, IfThere::Replace).await?;
    queue::wake(tx, signal.run, signal.at).await
}

async fn store_payloads(tx: &mut TenantTx<'_>, signal: &SignalItem) -> Result<(), Fault> {
    let payloads: Vec<_> = signal.payloads.iter().map(|payload| (signal.run.0, payload)).collect();
    payload::insert(tx, &payloads).await
}

/// What becomes of a signal that is there for the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IfThere {
    Keep,
    Replace,
}

/// False if nothing was written.
async fn insert(
    tx: &mut TenantTx<'_>,
    signal: &SignalItem,
    if_there: IfThere,
) -> Result<bool, Fault> {
    let written = sqlx::query(
        "INSERT INTO signal (tenant_id, run_id, node, item, body, body_hash, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (tenant_id, run_id, node, item) DO UPDATE SET body = excluded.body,
           body_hash = excluded.body_hash, at = excluded.at WHERE $8",
    )
    .bind(tx.tenant().0)
    .bind(signal.run.0)
    .bind(&signal.step.node)
    .bind(i64::from(signal.step.item))
    .bind(signal.body.text.as_ref().map(any::text))
    .bind(hash_bytes(signal.body.hash.as_ref()))
    .bind(signal.at.0)
    .bind(if_there == IfThere::Replace)
    .execute(tx.sql())
    .await?;
    Ok(written.rows_affected() > 0)
}

/// True if the step waits for another run by now: it was begun anew.
async fn calls_another(
    tx: &mut TenantTx<'_>,
    signal: &SignalItem,
    ended: RunId,
) -> Result<bool, Fault> {
    let another: Option<i32> = sqlx::query_scalar(
        "SELECT 1 FROM step
         WHERE tenant_id = $1 AND run_id = $2 AND node = $3 AND item = $4 AND child <> $5",
    )
    .bind(tx.tenant().0)
    .bind(signal.run.0)
    .bind(&signal.step.node)
    .bind(i64::from(signal.step.item))
    .bind(ended.0)
    .fetch_optional(tx.sql())
    .await?;
    Ok(another.is_some())
}

/// Deletes the signals that a run has used.
pub(super) async fn delete_used(
    tx: &mut TenantTx<'_>,
    run: RunId,
    used: &[StepKey],
) -> Result<(), Fault> {
    for step in used {
        sqlx::query(
            "DELETE FROM signal WHERE tenant_id = $1 AND run_id = $2 AND node = $3 AND item = $4",
        )
        .bind(tx.tenant().0)
        .bind(run.0)
        .bind(&step.node)
        .bind(i64::from(step.item))
        .execute(tx.sql())
        .await?;
    }
    Ok(())
}

/// Where a run stands.
async fn run(tx: &mut TenantTx<'_>, run: RunId) -> Result<Option<RunState>, Fault> {
    let state: Option<String> =
        sqlx::query_scalar("SELECT state FROM run WHERE tenant_id = $1 AND id = $2")
            .bind(tx.tenant().0)
            .bind(run.0)
            .fetch_optional(tx.sql())
            .await?;
    Ok(state.as_deref().map(run_state).transpose()?)
}
