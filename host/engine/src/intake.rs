//! The way in: makes events durable, hands their runs straight to the driver where there is a free
//! slot, and answers those who wait.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, RunId, TenantId};
use tombolo_core::json::Json;
use tombolo_core::ports::intake::{Answer, Arrival, Follow, Intake, Subscriber};
use tombolo_core::ports::repair::By;
use tombolo_core::ports::store::{
    Accept, Accepted, CancelRequest, ClaimedRun, EventRow, Lease, NewEvent, NewRun, RunRow,
    RunView, StoreError, WorkerId,
};
use tombolo_core::run::{Run, RunState};

use crate::drive::RunOrigin;
use crate::head::{self, Head};
use crate::leases::{Held, Leases};
use crate::registry::NoPlan;
use crate::slots::Slot;
use crate::{Engine, Inner, cancels, drive, flow, others, respond};

/// An arrival made ready to be stored, with what is needed to run it at once.
struct PreparedArrival {
    accept: Accept,
    /// One for each run.
    here: Vec<Here>,
}

/// What this process has for a run that is about to be stored.
struct Here {
    tenant: TenantId,
    run: RunId,
    state: RunState,
    /// Set if this process drives it.
    driven: Option<Driven>,
    /// Set if the run has ended, or has answered, by the time it is stored.
    answer: Option<Answer>,
}

/// The run as a claim would bring it, and the slot that it takes.
struct Driven {
    claimed: ClaimedRun,
    slot: Slot,
}

#[async_trait]
impl Intake for Engine {
    async fn accept(&self, arrivals: Vec<Arrival>) -> Result<Vec<Accepted>, StoreError> {
        let deadline = Instant::now() + head::WITHIN;
        let prepared = arrivals.into_iter().map(|arrival| prepare(&self.0, arrival, deadline));
        store(&self.0, try_join_all(prepared).await?).await
    }

    async fn accept_and_wait(
        &self,
        arrival: Arrival,
        patience: Duration,
    ) -> Result<(Accepted, Answer), StoreError> {
        let tenant = arrival.tenant;
        let prepared = prepare(&self.0, arrival, Instant::now() + head::WITHIN).await?;
        let Some(expected) = prepared.accept.runs.first().map(|run| run.id) else {
            return Ok((store(&self.0, vec![prepared]).await?.remove(0), Answer::NotYet));
        };
        // Registered before the run exists: its answer cannot be missed.
        let waiter = self.0.followers.wait(expected);
        let accepted = store(&self.0, vec![prepared]).await?.remove(0);
        let answer = match accepted.runs().first() {
            Some(run) if *run == expected => {
                others::answer(&self.0, tenant, waiter, patience).await
            }
            Some(run) => self.wait(tenant, *run, patience).await?,
            None => Answer::NotYet,
        };
        Ok((accepted, answer))
    }

    async fn wait(
        &self,
        tenant: TenantId,
        run: RunId,
        patience: Duration,
    ) -> Result<Answer, StoreError> {
        let waiter = self.0.followers.wait(run);
        let Some(view) = self.0.ports.store.run(tenant, run).await? else {
            return Ok(Answer::NotYet);
        };
        match stored_answer(&self.0, view).await? {
            Some(answer) => Ok(answer),
            None => Ok(others::answer(&self.0, tenant, waiter, patience).await),
        }
    }

    async fn cancel(
        &self,
        tenant: TenantId,
        run: RunId,
        by: By,
    ) -> Result<CancelRequest, StoreError> {
        let now = self.0.ports.clock.now();
        let entry = by.entry(now, "cancel-requested", run.to_string(), Value::Null);
        let request = self.0.ports.store.request_cancel(tenant, run, Some(entry)).await?;
        if request == CancelRequest::Requested {
            self.0.leases.cancel(run);
            cancels::tell_of_new(&self.0).await;
        }
        Ok(request)
    }

    fn follow(&self, _tenant: TenantId, run: RunId) -> Box<dyn Follow> {
        self.0.followers.follow(run)
    }
}

/// The answer of a run that has ended, or has answered through a `respond` node. Without its plan
/// nobody knows which node that is; its end is known all the same.
pub(crate) async fn stored_answer(
    inner: &Inner,
    view: RunView,
) -> Result<Option<Answer>, StoreError> {
    let RunView { run: row, steps, .. } = view;
    let restored = match inner.ports.registry.plan(row.tenant, row.workflow, row.version).await {
        Ok(plan) => Run::restore(plan, steps).ok(),
        Err(NoPlan::Unusable { .. }) => None,
        Err(NoPlan::Store(error)) => return Err(error),
    };
    let output = restored.as_ref().and_then(Run::response);
    Ok(match output {
        Some(output) => Some(respond::from_node(output, row.state)),
        None if row.state.ended() => {
            Some(respond::from_end(row.id, row.state, row.output.clone(), row.error.as_ref()))
        }
        None => None,
    })
}

async fn prepare(
    inner: &Arc<Inner>,
    arrival: Arrival,
    deadline: Instant,
) -> Result<PreparedArrival, StoreError> {
    let (ids, now) = (&*inner.ports.ids, inner.ports.clock.now());
    let id = EventId::new(ids);
    let mut event = arrival.event;
    event.insert("id".to_owned(), id.to_string().into());
    event.insert("received_at".to_owned(), now.to_string().into());
    let audit = arrival.by.map(|by| {
        by.entry(now, "run-started", id.to_string(), json!({ "source": arrival.source }))
    });
    let event = NewEvent {
        id,
        tenant: arrival.tenant,
        source: arrival.source,
        dedupe_key: arrival.dedupe_key,
        fingerprint: arrival.fingerprint,
        payload: payload(arrival.trigger, event),
        correlation_id: arrival.correlation_id,
        received_at: now,
    };
    let (mut runs, mut here) = (Vec::new(), Vec::new());
    for subscriber in arrival.subscribers {
        let (run, one) = prepare_run(inner, &event, subscriber, deadline).await?;
        runs.push(run);
        here.push(one);
    }
    Ok(PreparedArrival { accept: Accept { event, runs, audit }, here })
}

/// What expressions see of the event. Moved, not copied: it may be large.
fn payload(trigger: Value, event: Map<String, Value>) -> Json {
    let mut payload = Map::with_capacity(2);
    payload.insert("trigger".to_owned(), trigger);
    payload.insert("event".to_owned(), event.into());
    Value::Object(payload).into()
}

async fn prepare_run(
    inner: &Arc<Inner>,
    event: &NewEvent,
    subscriber: Subscriber,
    deadline: Instant,
) -> Result<(NewRun, Here), StoreError> {
    let now = event.received_at;
    let flow = flow::of(&inner.ports, event.tenant, &subscriber, &event.payload).await;
    let flow = flow.map_err(|busy| flow::overloaded(&busy))?;
    // What may have to wait goes through the queue.
    let slot = if flow.is_free() { free_slot(inner, event.tenant) } else { None };
    let until = now.plus(inner.settings.lease());
    let mut run = NewRun {
        id: RunId::new(&*inner.ports.ids),
        workflow: subscriber.workflow,
        version: subscriber.version,
        trigger: subscriber.trigger,
        deadline: subscriber.timeout.map(|timeout| now.plus(timeout)),
        lease: slot.as_ref().map(|_| (inner.worker.clone(), until)),
        parent: None,
        depth: 0,
        replay_of: None,
        steps: Vec::new(),
        ended: None,
        flow,
    };
    let (tenant, state) = (event.tenant, RunState::Running);
    let mut here = Here { tenant, run: run.id, state, driven: None, answer: None };
    let Some(slot) = slot else {
        return Ok((run, here));
    };
    let mut claimed = handed_over(first_lease(&run, &inner.worker), event, &run);
    let Head { steps, ended, answer } = head::compute(inner, claimed.clone(), deadline).await;
    here.answer = answer;
    match &ended {
        Some(ended) => {
            here.state = ended.state;
            run.lease = None;
        }
        None => {
            claimed.steps.clone_from(&steps);
            here.driven = Some(Driven { claimed, slot });
        }
    }
    run.steps = steps;
    run.ended = ended;
    Ok((run, here))
}

/// The lease that is given with the accept.
fn first_lease(run: &NewRun, worker: &WorkerId) -> Lease {
    const FIRST_EPOCH: i64 = 1;
    Lease { run: run.id, owner: worker.clone(), epoch: FIRST_EPOCH }
}

/// A slot for a run that is about to be accepted, unless the engine is closing or works on none.
fn free_slot(inner: &Arc<Inner>, tenant: TenantId) -> Option<Slot> {
    let takes = inner.settings.works && !inner.closing.is_cancelled();
    let several = || inner.ports.registry.serves_several();
    if takes { inner.slots.free_for(tenant, several()) } else { None }
}

/// Makes a batch durable and starts what this process drives itself. Both happen even if whoever
/// asked stops waiting: a run that is durable and leased has to be driven. Where nothing is left to
/// do after the write, it needs no life of its own.
async fn store(
    inner: &Arc<Inner>,
    prepared: Vec<PreparedArrival>,
) -> Result<Vec<Accepted>, StoreError> {
    if prepared.iter().all(PreparedArrival::is_over) {
        return store_and_drive(inner.clone(), prepared).await;
    }
    let accepting = inner.tracker.spawn(store_and_drive(inner.clone(), prepared));
    match accepting.await {
        Ok(accepted) => accepted,
        Err(error) => Err(StoreError::Database(format!("accepting ended early: {error}"))),
    }
}

impl PreparedArrival {
    /// True if all its runs have ended by the time they are stored.
    fn is_over(&self) -> bool {
        self.accept.runs.iter().all(|run| run.ended.is_some())
    }
}

async fn store_and_drive(
    inner: Arc<Inner>,
    prepared: Vec<PreparedArrival>,
) -> Result<Vec<Accepted>, StoreError> {
    let (accepts, here): (Vec<_>, Vec<_>) =
        prepared.into_iter().map(|one| (one.accept, one.here)).unzip();
    // Held before they exist: from the commit on nobody else takes them for abandoned, and a wish
    // to cancel finds them.
    let held: Vec<Vec<Option<Held>>> = here.iter().map(|runs| hold(&inner, runs)).collect();
    let replaces = flow::replaces(&accepts);
    let accepted = inner.ports.store.accept(accepts).await?;
    if replaces {
        cancels::tell_of_new(&inner).await;
    }
    let mut queued = false;
    for ((runs, held), outcome) in here.into_iter().zip(held).zip(&accepted) {
        let Accepted::New { .. } = outcome else {
            continue;
        };
        for (run, held) in runs.into_iter().zip(held) {
            tell(&inner, &run);
            if let Some((Driven { claimed, slot }, held)) = run.driven.zip(held) {
                held.mark_stored();
                drive::spawn_held(&inner, (claimed, RunOrigin::Accept), held, slot);
            } else {
                queued |= !run.state.ended();
            }
        }
    }
    if queued {
        inner.wake.notify_one();
    }
    Ok(accepted)
}

/// Tells what a run had done when it was stored. Of its steps nobody waits to hear: nobody knew it.
fn tell(inner: &Inner, run: &Here) {
    if let Some(answer) = &run.answer {
        inner.followers.answer(run.run, answer);
    }
    inner.followers.tell(run.tenant, run.run, &[], run.state, inner.ports.clock.now());
}

fn hold(inner: &Arc<Inner>, runs: &[Here]) -> Vec<Option<Held>> {
    let hold = |run: &Here| {
        run.driven.as_ref().map(|driven| Leases::reserve(inner, &driven.claimed.lease))
    };
    runs.iter().map(hold).collect()
}

/// The run as a claim would have brought it: accept and claim were one write.
fn handed_over(lease: Lease, event: &NewEvent, run: &NewRun) -> ClaimedRun {
    ClaimedRun {
        lease,
        event: EventRow { id: event.id, payload: event.payload.clone() },
        steps: run.steps.clone(),
        journal: Vec::new(),
        signals: Vec::new(),
        claims: 1,
        run: row(event, run, event.received_at),
    }
}

fn row(event: &NewEvent, run: &NewRun, created_at: Timestamp) -> RunRow {
    RunRow {
        id: run.id,
        tenant: event.tenant,
        workflow: run.workflow,
        version: run.version,
        event: event.id,
        trigger: run.trigger.clone(),
        state: RunState::Running,
        correlation_id: event.correlation_id.clone(),
        error: None,
        output: None,
        cancel_requested: false,
        created_at,
        ended_at: None,
        deadline: run.deadline,
        parent: run.parent.clone(),
        depth: run.depth,
        replay_of: run.replay_of,
    }
}
