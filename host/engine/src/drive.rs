//! Drives one claimed run until it parks or ends: starts what is ready, applies what comes back.
//! The laws are asked; nothing is decided here, and nothing is written here (see `desk`).

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tombolo_core::error::StepError;
use tombolo_core::ports::sandbox::Invoked;
use tombolo_core::ports::store::{Claimed, ClaimedRun, Next, SUSPECT_CLAIMS, Signal, StoreError};
use tombolo_core::run::{Run, StepAt};

use crate::attempt::Prepared;
use crate::desk::{self, Desk};
use crate::errors::corrupt;
use crate::leases::{Held, Leases, Signals};
use crate::registry::NoPlan;
use crate::steps::Failure;
use crate::{Inner, give_up};

/// Works on what a claim brought, in the background. The permit is given back at its end.
pub(crate) fn spawn(inner: &Arc<Inner>, claimed: Claimed, permit: OwnedSemaphorePermit) {
    match claimed {
        Claimed::Run(claimed) => {
            let held = Leases::hold(inner, &claimed.lease);
            if claimed.claims > SUSPECT_CLAIMS {
                held.suspect();
            }
            spawn_held(inner, *claimed, held, permit);
        }
        Claimed::Damaged { tenant, lease, reason, readable } => {
            let inner = inner.clone();
            inner.clone().tracker.spawn(async move {
                let _held = Leases::hold(&inner, &lease);
                match readable {
                    Some(claimed) => end_damaged(&inner, *claimed, reason).await,
                    None => give_up::bury(&inner, tenant, lease, reason).await,
                }
                drop(permit);
            });
        }
    }
}

/// Drives a run that is held already.
pub(crate) fn spawn_held(
    inner: &Arc<Inner>,
    claimed: ClaimedRun,
    held: Held,
    permit: OwnedSemaphorePermit,
) {
    let inner = inner.clone();
    inner.clone().tracker.spawn(async move {
        let (run, signals) = (claimed.run.id, held.signals.clone());
        tokio::select! {
            // What the store has answered comes before the news that the lease is gone: it went
            // with that answer.
            biased;
            ended = drive(&inner, claimed, &signals) => match ended {
                Ok(()) => {}
                Err(StoreError::LeaseLost { .. }) => {
                    tracing::warn!(%run, "another worker has the run; nothing was written");
                }
                Err(error) => tracing::error!(%run, %error, "the run is left to the next claim"),
            },
            () = signals.lost.cancelled() => {
                tracing::warn!(%run, "lease lost; leaving the run to its new owner");
            }
        }
        drop(held);
        drop(permit);
    });
}

/// Ends a run of whose steps, journal or signals something cannot be read.
async fn end_damaged(inner: &Arc<Inner>, claimed: ClaimedRun, reason: String) {
    let run = claimed.run.id;
    tracing::error!(%run, %reason, "the run cannot be read and is given up");
    let (mut desk, steps, _) = Desk::new(inner, claimed);
    if let Err(error) = desk.give_up(steps, "stored-run-damaged", reason).await {
        tracing::error!(%run, %error, "the run is left to the next claim");
    }
}

async fn drive(
    inner: &Arc<Inner>,
    claimed: ClaimedRun,
    signals: &Signals,
) -> Result<(), StoreError> {
    let claims = claimed.claims;
    let (mut desk, steps, heard) = Desk::new(inner, claimed);
    let plan = match desk.plan().await {
        Ok(plan) => plan,
        Err(NoPlan::Unusable { code, message }) => return desk.give_up(steps, code, message).await,
        Err(NoPlan::Store(error)) => return Err(error),
    };
    let mut run = match Run::restore(plan, steps) {
        Ok(run) => run,
        Err(broken) => {
            // The steps went with the attempt to fit them.
            let (store, row) = (&inner.ports.store, &desk.row);
            let stored = match desk::read(inner, || store.run(row.tenant, row.id)).await {
                Err(StoreError::Corrupt(_)) => None,
                stored => stored?,
            };
            let steps = stored.map(|view| view.steps).unwrap_or_default();
            return desk.give_up(steps, "stored-run-damaged", broken.to_string()).await;
        }
    };
    if claims > inner.settings.max_claims {
        let message = format!(
            "the run was claimed {claims} times without any progress: it seems to end its workers \
             (limit max_claims)"
        );
        return desk.give_up_run(&run, "worker-lost", message).await;
    }
    let worked = match run.recover(desk.now()) {
        Ok(()) => work(&mut desk, &mut run, signals, heard).await,
        Err(illegal) => Err(corrupt(illegal)),
    };
    match worked {
        Err(StoreError::Refused(reason)) => {
            let message = format!("what the run brought cannot be stored: {reason}");
            desk.give_up_run(&run, "result-not-storable", message).await
        }
        Err(StoreError::Corrupt(reason)) => {
            desk.give_up_run(&run, "stored-run-damaged", reason).await
        }
        other => other,
    }
}

/// Something that a run waits for while it is worked on.
pub(crate) type Pending = BoxFuture<'static, Result<Done, StoreError>>;

/// What came back.
pub(crate) enum Done {
    Prepared(StepAt, Prepared),
    Attempted(StepAt, Invoked),
    Judged(StepAt, Failure, Result<bool, StepError>),
    /// What came from outside.
    Heard(Result<Vec<Signal>, StoreError>),
}

/// Works until the run parks or ends. If the store fails for too long, what is under way is ended in
/// good order, and the run is given back.
async fn work(
    desk: &mut Desk,
    run: &mut Run,
    signals: &Signals,
    heard: Vec<Signal>,
) -> Result<(), StoreError> {
    let mut pending: FuturesUnordered<Pending> = FuturesUnordered::new();
    match go_on(desk, run, &mut pending, signals, heard).await {
        Err(error) if error.passes() => {
            tracing::error!(run = %desk.row.id, %error, "the run is given back");
            desk.cut_off(run, &mut pending).await?;
            desk.leave(run).await
        }
        other => other,
    }
}

async fn go_on(
    desk: &mut Desk,
    run: &mut Run,
    pending: &mut FuturesUnordered<Pending>,
    signals: &Signals,
    heard: Vec<Signal>,
) -> Result<(), StoreError> {
    if run.has_changes() {
        // What became of attempts whose worker died is told before anything else is done.
        desk.settle(run, Next::Hold).await?;
    }
    desk.hear(run, heard)?;
    desk.release_mended(run).await?;
    loop {
        if let Some(reason) = desk.must_end(signals) {
            desk.cut_off(run, pending).await?;
            return desk.cancel(run, reason).await;
        }
        if desk.must_leave() {
            desk.cut_off(run, pending).await?;
            return desk.leave(run).await;
        }
        let now = desk.now();
        for at in run.ready(now).map_err(corrupt)? {
            pending.push(desk.prepare(run, at));
        }
        let due = run.next_due(now);
        if pending.is_empty() {
            return desk.rest(run).await;
        }
        if desk.owes(run) {
            desk.settle(run, Next::Hold).await?;
        }
        let done = tokio::select! {
            done = pending.next() => done,
            () = signals.cancel.cancelled() => continue,
            () = desk.next_look(due) => continue,
            () = desk.leaving() => continue,
            () = signals.news.notified(), if !desk.listens => {
                pending.push(desk.listen());
                continue;
            }
        };
        let more = match done.transpose()? {
            Some(Done::Prepared(at, prepared)) => desk.begin(run, at, prepared).await?,
            Some(Done::Attempted(at, invoked)) => desk.finish(run, at, invoked).await?,
            Some(Done::Judged(at, failure, judged)) => {
                desk.fail_judged(run, at, failure, judged)?;
                None
            }
            Some(Done::Heard(read)) => {
                desk.heard(run, read)?;
                None
            }
            None => None,
        };
        pending.extend(more);
    }
}
