//! Drives one claimed run until it parks or ends: starts what is ready, applies what comes back,
//! settles. The laws are asked; nothing is decided here.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tombolo_core::clock::Timestamp;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::json::Json;
use tombolo_core::ports::sandbox::Invoked;
use tombolo_core::ports::store::{
    Call, ClaimedRun, EventRow, Lease, Next, RunRow, Settle, StateChange, StoreError,
};
use tombolo_core::run::{Run, RunScope, RunState, Standing};
use tombolo_core::workflow::{Builtin, NodeIndex, Uses};

use crate::attempt::{self, Attempt, Of, Prepared};
use crate::leases::{Leases, Signals};
use crate::{Inner, respond};

/// How long to wait before the store is asked again to take a result that it refused for lack of
/// room: the result exists only here, so it is not given up while the lease holds.
const SETTLE_RETRY: Duration = Duration::from_millis(200);

/// Drives a run in the background. The permit is given back at its end.
pub(crate) fn spawn(inner: &Arc<Inner>, claimed: ClaimedRun, permit: OwnedSemaphorePermit) {
    let held = Leases::hold(inner, &claimed.lease);
    let inner = inner.clone();
    inner.clone().tracker.spawn(async move {
        let (run, signals) = (claimed.run.id, held.signals.clone());
        tokio::select! {
            ended = drive(&inner, claimed, signals.clone()) => match ended {
                Ok(()) => {}
                Err(StoreError::LeaseLost { .. }) => tracing::warn!(%run, "another worker has the run; nothing was written"),
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
    signals: Signals,
) -> Result<(), StoreError> {
    let ClaimedRun {
        run: row,
        event,
        steps,
        lease,
        claims,
    } = claimed;
    let mut desk = Desk {
        inner: inner.clone(),
        row,
        event,
        lease,
        calls: Vec::new(),
        state: Vec::new(),
        owing: false,
    };
    if claims > inner.settings.max_claims {
        let message = format!(
            "the run was claimed {claims} times without any progress: it seems to end its workers (limit max_claims)"
        );
        return desk
            .end_without_plan(StepError::new(
                ErrorClass::Permanent,
                "worker-lost",
                message,
            ))
            .await;
    }
    let plan = match inner
        .ports
        .registry
        .plan(desk.row.tenant, desk.row.workflow, desk.row.version)
        .await
    {
        Ok(plan) => plan,
        Err(error) => return desk.end_without_plan(error).await,
    };
    let run = Run::restore(plan, steps).map_err(|error| StoreError::Corrupt(error.to_string()));
    let mut run = match run {
        Ok(run) => run,
        Err(error) => {
            return desk
                .end_without_plan(StepError::new(
                    ErrorClass::Permanent,
                    "stored-run-damaged",
                    error.to_string(),
                ))
                .await;
        }
    };
    run.recover(desk.now()).map_err(corrupt)?;
    work(&mut desk, &mut run, &signals).await
}

/// Stored states that the laws do not know are damage, not bad luck.
fn corrupt(illegal: tombolo_core::run::Illegal) -> StoreError {
    StoreError::Corrupt(illegal.to_string())
}

/// Something that a run waits for while it is worked on.
type Pending = BoxFuture<'static, Result<Done, StoreError>>;

/// What came back.
enum Done {
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
        if desk.owing {
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
            Some(Done::Attempted(at, invoked)) => desk.finish(run, at, invoked)?,
            None => {}
        }
    }
}

/// One run on the desk of its driver: what is stored of it, and what is not yet.
struct Desk {
    inner: Arc<Inner>,
    row: RunRow,
    event: EventRow,
    lease: Lease,
    /// Made since the last settle.
    calls: Vec<Call>,
    /// Written since the last settle.
    state: Vec<StateChange>,
    /// A result has to be durable before anything else happens: an unsafe effect's, or one that
    /// somebody waits for.
    owing: bool,
}

impl Desk {
    fn now(&self) -> Timestamp {
        self.inner.ports.clock.now()
    }

    fn of(&self) -> Of {
        Of {
            tenant: self.row.tenant,
            workflow: self.row.workflow,
            version: self.row.version,
            run: self.row.id,
            correlation_id: self.row.correlation_id.clone(),
        }
    }

    /// Why the run has to end now, if it has to.
    fn must_end(&self, signals: &Signals) -> Option<Option<StepError>> {
        if self.row.cancel_requested || signals.cancel.is_cancelled() {
            return Some(None);
        }
        self.row
            .deadline
            .filter(|deadline| *deadline <= self.now())
            .map(|deadline| {
                let message =
                    format!("the run was not done by {deadline} (the workflow's `timeout`)");
                Some(StepError::new(
                    ErrorClass::Permanent,
                    "run-timeout",
                    message,
                ))
            })
    }

    /// Sleeps until the run's deadline.
    async fn deadline(&self) {
        match self.row.deadline {
            Some(deadline) => tokio::time::sleep(deadline.since(self.now())).await,
            None => std::future::pending().await,
        }
    }

    /// Resolves the parameters of a step, unless an earlier attempt did.
    fn prepare(&self, run: &Run, at: NodeIndex) -> Pending {
        let stored = run.step(at).input.clone();
        if let Some(input) = stored {
            return Box::pin(async move { Ok(Done::Prepared(at, Prepared::Input(input))) });
        }
        let scope = RunScope::new(run, at, self.row.id, &self.event.payload);
        let (ports, of, plan) = (self.inner.ports.clone(), self.of(), run.plan().clone());
        Box::pin(async move {
            let prepared = attempt::prepare(&ports, &of, &plan.nodes[at], scope).await;
            Ok(Done::Prepared(at, prepared))
        })
    }

    /// Starts the attempt, behind a barrier if its effect is unsafe.
    fn begin(
        &self,
        run: &mut Run,
        at: NodeIndex,
        prepared: Prepared,
    ) -> Result<Option<Pending>, StoreError> {
        let now = self.now();
        let input = match prepared {
            Prepared::Skip => {
                run.skip(at, now).map_err(corrupt)?;
                return Ok(None);
            }
            Prepared::Refused(error) => {
                run.refuse(at, error, now).map_err(corrupt)?;
                return Ok(None);
            }
            Prepared::Input(input) => input,
        };
        let builtin = matches!(run.node(at).uses, Uses::Builtin(_));
        run.start(at, (!builtin).then(|| input.clone()), now)
            .map_err(corrupt)?;
        let (ports, plan, step) = (self.inner.ports.clone(), run.plan().clone(), run.step(at));
        let attempt = Attempt {
            of: self.of(),
            at,
            item: step.item,
            number: step.attempt,
            input,
        };
        let barrier = run
            .node(at)
            .effect
            .needs_intent()
            .then(|| self.command(run, Next::Hold));
        Ok(Some(Box::pin(async move {
            if let Some(intent) = barrier {
                ports.store.settle(intent).await?;
            }
            let at = attempt.at;
            Ok(Done::Attempted(
                at,
                attempt::run(&ports, &plan.nodes[at], attempt).await,
            ))
        })))
    }

    /// Applies what an attempt brought.
    fn finish(&mut self, run: &mut Run, at: NodeIndex, invoked: Invoked) -> Result<(), StoreError> {
        let now = self.now();
        let (node, step) = (run.node(at), run.step(at));
        let (name, item, number) = (node.name.clone(), step.item, step.attempt);
        self.owing |= node.effect.needs_intent() || node.uses == Uses::Builtin(Builtin::Respond);
        self.calls
            .extend(invoked.calls.into_iter().map(|record| Call {
                node: name.clone(),
                item,
                attempt: number,
                record,
            }));
        match invoked.result {
            Ok(outcome) => {
                self.state
                    .extend(invoked.state.into_iter().map(|write| StateChange {
                        node: name.clone(),
                        write,
                    }));
                run.succeed(at, outcome, invoked.logs, now).map_err(corrupt)
            }
            Err(error) => {
                let jitter = self.inner.ports.random.unit();
                run.fail(at, error, invoked.logs, now, jitter)
                    .map(|_| ())
                    .map_err(corrupt)
            }
        }
    }

    /// Nothing is under way: parks or ends the run.
    async fn rest(&mut self, run: &mut Run) -> Result<(), StoreError> {
        match run.standing() {
            Standing::Parked { due } => {
                let available_at = self.row.deadline.map_or(due, |deadline| due.min(deadline));
                self.settle(
                    run,
                    Next::Park {
                        state: RunState::Waiting,
                        available_at,
                    },
                )
                .await?;
                self.inner.wake.notify_one();
                Ok(())
            }
            Standing::Ended {
                state,
                output,
                error,
            } => {
                self.settle(
                    run,
                    Next::End {
                        state,
                        output,
                        error,
                    },
                )
                .await
            }
            Standing::Busy => Err(StoreError::Corrupt(
                "a step is running that nobody runs".to_owned(),
            )),
        }
    }

    async fn cancel(&mut self, run: &mut Run, error: Option<StepError>) -> Result<(), StoreError> {
        run.cancel(self.now()).map_err(corrupt)?;
        self.settle(
            run,
            Next::End {
                state: RunState::Cancelled,
                output: None,
                error,
            },
        )
        .await
    }

    /// Ends a run that cannot even be read: it fails, its steps stay as they are.
    async fn end_without_plan(&mut self, error: StepError) -> Result<(), StoreError> {
        let next = Next::End {
            state: RunState::Failed,
            output: None,
            error: Some(error.clone()),
        };
        self.write(self.bare(next)).await?;
        let answer = respond::from_end(self.row.id, RunState::Failed, None, Some(&error));
        self.inner.followers.answer(self.row.id, &answer);
        self.inner.followers.tell(
            self.row.tenant,
            self.row.id,
            &[],
            RunState::Failed,
            self.now(),
        );
        Ok(())
    }

    fn bare(&self, next: Next) -> Settle {
        Settle {
            tenant: self.row.tenant,
            workflow: self.row.workflow,
            lease: self.lease.clone(),
            steps: Vec::new(),
            calls: Vec::new(),
            state: Vec::new(),
            next,
            now: self.now(),
        }
    }

    fn command(&self, run: &mut Run, next: Next) -> Settle {
        Settle {
            steps: run.take_changes(),
            ..self.bare(next)
        }
    }

    /// Makes durable what happened since the last settle, and then tells it.
    async fn settle(&mut self, run: &mut Run, next: Next) -> Result<(), StoreError> {
        let mut command = self.command(run, next);
        command.calls = std::mem::take(&mut self.calls);
        command.state = std::mem::take(&mut self.state);
        self.owing = false;
        self.write(command.clone()).await?;
        self.tell(run, &command);
        Ok(())
    }

    /// Writes, and tries again while the disk is full or the store busy: the results are here and
    /// nowhere else. Ends with the lease at the latest.
    async fn write(&self, command: Settle) -> Result<(), StoreError> {
        loop {
            match self.inner.ports.store.settle(command.clone()).await {
                Err(error @ (StoreError::Full | StoreError::Busy { .. })) => {
                    tracing::warn!(run = %self.row.id, %error, "results wait to be written");
                    tokio::time::sleep(SETTLE_RETRY).await;
                }
                other => return other,
            }
        }
    }

    fn tell(&self, run: &Run, command: &Settle) {
        let (id, state) = (self.row.id, state_after(&command.next));
        let response = run.response();
        let answer = match (&command.next, response) {
            (_, Some(output)) => Some(respond::from_node(output, state)),
            (
                Next::End {
                    state,
                    output,
                    error,
                },
                None,
            ) => Some(respond::from_end(
                id,
                *state,
                output.clone(),
                error.as_ref(),
            )),
            _ => None,
        };
        if let Some(answer) = answer {
            self.inner.followers.answer(id, &answer);
        }
        self.inner
            .followers
            .tell(self.row.tenant, id, &command.steps, state, command.now);
    }
}

fn state_after(next: &Next) -> RunState {
    match next {
        Next::Hold => RunState::Running,
        Next::Park { state, .. } | Next::End { state, .. } => *state,
    }
}

/// The output that answers, for a run that ended before anybody waited.
pub(crate) fn stored_answer(run: &Run, row: &RunRow) -> tombolo_core::ports::intake::Answer {
    match run.response() {
        Some(output) => respond::from_node(output, row.state),
        None => respond::from_end(row.id, row.state, row.output.clone(), row.error.as_ref()),
    }
}

/// Used where a payload has to be made before a run exists.
pub(crate) fn payload(
    trigger: serde_json::Value,
    event: serde_json::Map<String, serde_json::Value>,
) -> Json {
    serde_json::json!({"trigger": trigger, "event": event}).into()
}
