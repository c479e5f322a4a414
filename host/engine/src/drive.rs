//! Drives one claimed run until it parks or ends: starts what is ready, applies what comes back.
//! The laws are asked; nothing is decided here, and nothing is written here (see `desk`).

use std::future::ready;
use std::panic::resume_unwind;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;
use tombolo_core::error::StepError;
use tombolo_core::ports::sandbox::Invoked;
use tombolo_core::ports::store::{Claimed, ClaimedRun, Next, SUSPECT_CLAIMS, Signal, StoreError};
use tombolo_core::run::{Run, StepAt};
use tombolo_core::workflow::Plan;

use crate::attempt::Prepared;
use crate::desk::{self, Desk};
use crate::errors::corrupt;
use crate::leases::{Held, Leases, Signals};
use crate::registry::NoPlan;
use crate::slots::Slot;
use crate::steps::Failure;
use crate::{Inner, give_up};

/// How a run came to its driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunOrigin {
    /// From the queue. Attempts that its steps have under way were another worker's.
    Claim,
    /// From its accept, which stored the intents of attempts that this worker begins now.
    Accept,
}

/// Works on what a claim brought, in the background. The slot is free again at its end.
pub(crate) fn spawn(inner: &Arc<Inner>, claimed: Claimed, slot: Slot) {
    match claimed {
        Claimed::Run(claimed) => {
            let held = Leases::hold(inner, &claimed.lease);
            if claimed.claims > SUSPECT_CLAIMS {
                held.suspect();
            }
            spawn_held(inner, (*claimed, RunOrigin::Claim), held, slot);
        }
        Claimed::Damaged { tenant, lease, reason, readable } => {
            let inner = inner.clone();
            inner.clone().tracker.spawn(async move {
                let _held = Leases::hold(&inner, &lease);
                match readable {
                    Some(claimed) => end_damaged(&inner, *claimed, reason).await,
                    None => give_up::bury(&inner, tenant, lease, reason).await,
                }
                drop(slot);
            });
        }
    }
}

/// Drives a run that is held already.
pub(crate) fn spawn_held(
    inner: &Arc<Inner>,
    (claimed, origin): (ClaimedRun, RunOrigin),
    held: Held,
    slot: Slot,
) {
    let inner = inner.clone();
    inner.clone().tracker.spawn(async move {
        let (run, signals) = (claimed.run.id, held.signals.clone());
        tokio::select! {
            // What the store has answered comes before the news that the lease is gone: it went
            // with that answer.
            biased;
            ended = drive(&inner, claimed, origin, &signals) => match ended {
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
        drop(slot);
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

/// The run's plan, or why there is none.
async fn plan(desk: &Desk) -> Result<Result<Arc<Plan>, (&'static str, String)>, StoreError> {
    match desk.plan().await {
        Ok(plan) => Ok(Ok(plan)),
        Err(NoPlan::Unusable { code, message }) => Ok(Err((code, message))),
        Err(NoPlan::Store(error)) => Err(error),
    }
}

async fn drive(
    inner: &Arc<Inner>,
    claimed: ClaimedRun,
    origin: RunOrigin,
    signals: &Signals,
) -> Result<(), StoreError> {
    let claims = claimed.claims;
    let (mut desk, steps, heard) = Desk::new(inner, claimed);
    let plan = match desk::read(inner, || plan(&desk)).await? {
        Ok(plan) => plan,
        Err((code, message)) => return desk.give_up(steps, code, message).await,
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
    let fresh = match origin {
        RunOrigin::Accept => Ok(desk.begun(&run).collect()),
        RunOrigin::Claim => run.recover(desk.now()).map(|()| Vec::new()),
    };
    let worked = match fresh {
        Ok(fresh) => {
            let pending = FuturesUnordered::new();
            work(&mut desk, &mut run, Work { signals, heard, fresh, pending }).await
        }
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

/// Lets work go on that is not done at once, also while its run does something else: a run that
/// waits for a write must not keep a reader of the store, or a place in the sandbox, that it does not
/// use. It ends with what is returned.
fn beside(inner: &Inner, mut work: Pending) -> Pending {
    if let Some(done) = (&mut work).now_or_never() {
        return Box::pin(ready(done));
    }
    let task = AbortOnDropHandle::new(inner.tracker.spawn(work));
    Box::pin(async move {
        match task.await.map_err(JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => resume_unwind(panic),
            Err(Err(ended)) => {
                Err(StoreError::Database(format!("an attempt ended early: {ended}")))
            }
        }
    })
}

/// What came back.
pub(crate) enum Done {
    Prepared(StepAt, Prepared),
    Attempted(StepAt, Invoked),
    Judged(StepAt, Failure, Result<bool, StepError>),
    /// What came from outside.
    Heard(Result<Vec<Signal>, StoreError>),
}

/// What is under way of a run, and what comes to it.
struct Work<'a> {
    signals: &'a Signals,
    /// What came from outside before the claim.
    heard: Vec<Signal>,
    /// What is to begin.
    fresh: Vec<Pending>,
    pending: FuturesUnordered<Pending>,
}

impl Work<'_> {
    fn is_done(&self) -> bool {
        self.fresh.is_empty() && self.pending.is_empty()
    }

    /// Begins what is to begin.
    fn begin(&mut self, inner: &Inner) {
        self.pending.extend(self.fresh.drain(..).map(|work| beside(inner, work)));
    }

    /// Ends what is under way in good order; what has not begun never does.
    async fn cut_off(&mut self, desk: &mut Desk, run: &mut Run) -> Result<(), StoreError> {
        self.pending.extend(self.fresh.drain(..));
        desk.cut_off(run, &mut self.pending).await
    }
}

/// Works until the run parks or ends. If the store fails for too long, what is under way is ended in
/// good order, and the run is given back.
async fn work(desk: &mut Desk, run: &mut Run, mut work: Work<'_>) -> Result<(), StoreError> {
    match go_on(desk, run, &mut work).await {
        Err(error) if error.passes() => {
            tracing::error!(run = %desk.row.id, %error, "the run is given back");
            work.cut_off(desk, run).await?;
            desk.leave(run).await
        }
        other => other,
    }
}

async fn go_on(desk: &mut Desk, run: &mut Run, work: &mut Work<'_>) -> Result<(), StoreError> {
    if run.has_changes() {
        // What became of attempts whose worker died is told before anything else is done.
        desk.settle(run, Next::Hold).await?;
    }
    desk.hear(run, std::mem::take(&mut work.heard))?;
    desk.release_mended(run).await?;
    loop {
        if work.signals.lost.is_cancelled() {
            return Err(StoreError::LeaseLost { run: desk.row.id });
        }
        if let Some(reason) = desk.must_end(work.signals) {
            work.cut_off(desk, run).await?;
            return desk.cancel(run, reason).await;
        }
        if desk.must_leave() {
            work.cut_off(desk, run).await?;
            return desk.leave(run).await;
        }
        let now = desk.now();
        work.fresh
            .extend(run.ready(now).map_err(corrupt)?.into_iter().map(|at| desk.prepare(run, at)));
        if work.is_done() {
            return desk.rest(run).await;
        }
        if desk.owes(run) {
            desk.settle(run, Next::Hold).await?;
            // The write may have taken its time: nothing begins before the run is looked at again.
            continue;
        }
        work.begin(&desk.inner);
        let done = tokio::select! {
            done = work.pending.next() => done,
            () = work.signals.cancel.cancelled() => continue,
            () = desk.next_look(run.next_due(now)) => continue,
            () = desk.leaving() => continue,
            () = work.signals.news.notified(), if !desk.listens => {
                work.fresh.push(desk.listen());
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
        work.fresh.extend(more);
    }
}
