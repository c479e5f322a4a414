//! Drives one claimed run until it parks or ends: starts what is ready, applies what comes back.
//! The laws are asked; nothing is decided here, and nothing is written here (see `desk`).

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::ports::sandbox::Invoked;
use tombolo_core::ports::store::{ClaimedRun, Next, StoreError};
use tombolo_core::run::{Illegal, Run};
use tombolo_core::workflow::NodeIndex;

use crate::Inner;
use crate::attempt::Prepared;
use crate::desk::Desk;
use crate::leases::{Leases, Signals};
use crate::registry::NoPlan;

/// Drives a run in the background. The permit is given back at its end.
pub(crate) fn spawn(inner: &Arc<Inner>, claimed: ClaimedRun, permit: OwnedSemaphorePermit) {
    let held = Leases::hold(inner, &claimed.lease);
    let inner = inner.clone();
    inner.clone().tracker.spawn(async move {
        let (run, signals) = (claimed.run.id, held.signals.clone());
        tokio::select! {
            ended = drive(&inner, claimed, &signals) => match ended {
                Ok(()) => {}
                Err(StoreError::LeaseLost { .. }) => {
                    tracing::warn!(%run, "another worker has the run; nothing was written");
                }
                Err(error) => tracing::error!(%run, %error, "the run is left to the next claim"),
            },
            () = signals.lost.cancelled() => {}
            () = inner.abandon.cancelled() => {}
        }
        drop(held);
        inner.followers.tidy(run);
        drop(permit);
    });
}

async fn drive(
    inner: &Arc<Inner>,
    claimed: ClaimedRun,
    signals: &Signals,
) -> Result<(), StoreError> {
    let ClaimedRun { run: row, event, steps, lease, claims } = claimed;
    let mut desk = Desk::new(inner, row, event, lease);
    if claims > inner.settings.max_claims {
        let message = format!(
            "the run was claimed {claims} times without any progress: it seems to end its workers \
             (limit max_claims)"
        );
        return desk.give_up("worker-lost", message).await;
    }
    let plan = match desk.plan().await {
        Ok(plan) => plan,
        Err(NoPlan::Unusable { code, message }) => return desk.give_up(code, message).await,
        Err(NoPlan::Store(error)) => return Err(error),
    };
    let mut run = match Run::restore(plan, steps) {
        Ok(run) => run,
        Err(broken) => return desk.give_up("stored-run-damaged", broken.to_string()).await,
    };
    run.recover(desk.now()).map_err(corrupt)?;
    work(&mut desk, &mut run, signals).await
}

/// Stored states that the laws do not know are damage, not bad luck.
pub(crate) fn corrupt(illegal: Illegal) -> StoreError {
    StoreError::Corrupt(illegal.to_string())
}

/// Something that a run waits for while it is worked on.
pub(crate) type Pending = BoxFuture<'static, Result<Done, StoreError>>;

/// What came back.
pub(crate) enum Done {
    Prepared(NodeIndex, Prepared),
    Attempted(NodeIndex, Invoked),
}

async fn work(desk: &mut Desk, run: &mut Run, signals: &Signals) -> Result<(), StoreError> {
    let mut pending: FuturesUnordered<Pending> = FuturesUnordered::new();
    // Steps whose parameters are being evaluated: still pending, but not ready any more.
    let mut preparing: Vec<NodeIndex> = Vec::new();
    loop {
        if let Some(reason) = desk.must_end(signals) {
            return desk.cancel(run, reason).await;
        }
        for at in run.ready(desk.now()).map_err(corrupt)? {
            if !preparing.contains(&at) {
                preparing.push(at);
                pending.push(desk.prepare(run, at));
            }
        }
        if pending.is_empty() {
            return desk.rest(run).await;
        }
        if desk.owes() {
            desk.settle(run, Next::Hold).await?;
        }
        let done = tokio::select! {
            done = pending.next() => done,
            () = signals.cancel.cancelled() => continue,
            () = desk.deadline() => continue,
        };
        match done.transpose()? {
            Some(Done::Prepared(at, prepared)) => {
                preparing.retain(|other| *other != at);
                if let Some(next) = desk.begin(run, at, prepared)? {
                    pending.push(next);
                }
            }
            Some(Done::Attempted(at, invoked)) => desk.finish(run, at, invoked).await?,
            None => {}
        }
    }
}

/// The error of a run that cannot be run.
pub(crate) fn permanent(code: &str, message: String) -> StepError {
    StepError::new(ErrorClass::Permanent, code, message)
}
