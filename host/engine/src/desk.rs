//! One run on the desk of its driver: what is stored of it, what is not yet, and when that has to
//! change. Every write of a run goes through here.

use std::sync::Arc;
use std::time::Duration;

use tombolo_core::clock::Timestamp;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::ports::sandbox::{Invoked, LogLine, Outcome, StateWrite};
use tombolo_core::ports::store::{
    Call, EventRow, Lease, Next, RunRow, Settle, StateChange, StoreError,
};
use tombolo_core::run::{Run, RunScope, RunState, Standing};
use tombolo_core::workflow::{Builtin, NodeIndex, Plan, Uses};

use crate::attempt::{self, Attempt, Of, Prepared};
use crate::drive::{Done, Pending, corrupt, permanent};
use crate::leases::Signals;
use crate::registry::NoPlan;
use crate::{Inner, respond};

/// How long to wait before the store is asked again to take a result that it refused for lack of
/// room: the result exists only here, so it is not given up while the lease holds.
const SETTLE_RETRY: Duration = Duration::from_millis(200);

/// A run that is worked on.
pub(crate) struct Desk {
    inner: Arc<Inner>,
    row: RunRow,
    event: EventRow,
    lease: Lease,
    /// Made since the last settle.
    calls: Vec<Call>,
    /// A result has to be durable before anything else happens: an unsafe effect's, or one that
    /// somebody waits for.
    owing: bool,
}

impl Desk {
    pub fn new(inner: &Arc<Inner>, row: RunRow, event: EventRow, lease: Lease) -> Self {
        Self { inner: inner.clone(), row, event, lease, calls: Vec::new(), owing: false }
    }

    pub fn now(&self) -> Timestamp {
        self.inner.ports.clock.now()
    }

    pub fn owes(&self) -> bool {
        self.owing
    }

    pub async fn plan(&self) -> Result<Arc<Plan>, NoPlan> {
        let RunRow { tenant, workflow, version, .. } = self.row;
        self.inner.ports.registry.plan(tenant, workflow, version).await
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
    pub fn must_end(&self, signals: &Signals) -> Option<Option<StepError>> {
        if self.row.cancel_requested || signals.cancel.is_cancelled() {
            return Some(None);
        }
        self.row.deadline.filter(|deadline| *deadline <= self.now()).map(|deadline| {
            let message = format!("the run was not done by {deadline} (the workflow's `timeout`)");
            Some(permanent("run-timeout", message))
        })
    }

    /// Sleeps until the run's deadline.
    pub async fn deadline(&self) {
        match self.row.deadline {
            Some(deadline) => tokio::time::sleep(deadline.since(self.now())).await,
            None => std::future::pending().await,
        }
    }

    /// Resolves the parameters of a step, unless an earlier attempt did.
    pub fn prepare(&self, run: &Run, at: NodeIndex) -> Pending {
        if let Some(input) = run.step(at).input.clone() {
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
    pub fn begin(
        &mut self,
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
        run.start(at, (!builtin).then(|| input.clone()), now).map_err(corrupt)?;
        let barrier = run.node(at).effect.needs_intent().then(|| self.command(run, Next::Hold));
        let (inner, plan, step) = (self.inner.clone(), run.plan().clone(), run.step(at));
        let attempt = Attempt { of: self.of(), item: step.item, number: step.attempt, input };
        Ok(Some(Box::pin(async move {
            if let Some(intent) = barrier {
                write(&inner, intent).await?;
            }
            let invoked = attempt::run(&inner.ports, &plan.nodes[at], attempt).await;
            Ok(Done::Attempted(at, invoked))
        })))
    }

    /// Applies what an attempt brought.
    pub async fn finish(
        &mut self,
        run: &mut Run,
        at: NodeIndex,
        invoked: Invoked,
    ) -> Result<(), StoreError> {
        let (node, step) = (run.node(at), run.step(at));
        let (name, item, attempt) = (&node.name, step.item, step.attempt);
        self.owing |= node.effect.needs_intent() || node.uses == Uses::Builtin(Builtin::Respond);
        self.calls.extend(invoked.calls.into_iter().map(|record| Call {
            node: name.clone(),
            item,
            attempt,
            record,
        }));
        match invoked.result {
            Ok(outcome) if invoked.state.is_empty() => {
                run.succeed(at, outcome, invoked.logs, self.now()).map_err(corrupt)
            }
            Ok(outcome) => {
                self.finish_with_state(run, at, outcome, invoked.logs, invoked.state).await
            }
            Err(error) => self.fail(run, at, error, invoked.logs),
        }
    }

    /// State that a plugin wrote is committed with its step's result or not at all, so the result
    /// counts only once it is durable: another run may have changed the same entry.
    async fn finish_with_state(
        &mut self,
        run: &mut Run,
        at: NodeIndex,
        outcome: Outcome,
        logs: Vec<LogLine>,
        state: Vec<StateWrite>,
    ) -> Result<(), StoreError> {
        let mut done = run.clone();
        done.succeed(at, outcome, logs.clone(), self.now()).map_err(corrupt)?;
        let node = run.node(at);
        let calls = self.calls.clone();
        let mut command = self.command(&mut done, Next::Hold);
        command.state =
            state.into_iter().map(|write| StateChange { node: node.name.clone(), write }).collect();
        match write(&self.inner, command.clone()).await {
            Ok(()) => {
                self.owing = false;
                self.tell(&done, &command);
                *run = done;
                Ok(())
            }
            Err(error @ StoreError::StateConflict { .. }) => {
                // Nothing was written: the calls are still owed, and a new attempt reads afresh.
                self.calls = calls;
                let class = match node.effect.repeatable() {
                    true => ErrorClass::Transient,
                    false => ErrorClass::Conflict,
                };
                self.fail(run, at, StepError::new(class, "state-conflict", error.to_string()), logs)
            }
            Err(error) => Err(error),
        }
    }

    fn fail(
        &self,
        run: &mut Run,
        at: NodeIndex,
        error: StepError,
        logs: Vec<LogLine>,
    ) -> Result<(), StoreError> {
        let jitter = self.inner.ports.random.unit();
        run.fail(at, error, logs, self.now(), jitter).map(|_| ()).map_err(corrupt)
    }

    /// Nothing is under way: parks or ends the run.
    pub async fn rest(&mut self, run: &mut Run) -> Result<(), StoreError> {
        match run.standing() {
            Standing::Parked { due } => {
                let available_at = self.row.deadline.map_or(due, |deadline| due.min(deadline));
                let state = RunState::Waiting;
                self.settle(run, Next::Park { state, available_at }).await?;
                self.inner.wake.notify_one();
                Ok(())
            }
            Standing::Ended { state, output, error } => {
                self.settle(run, Next::End { state, output, error }).await
            }
            Standing::Busy => {
                Err(StoreError::Corrupt("a step is running that nobody runs".to_owned()))
            }
        }
    }

    /// Ends the run by request or deadline.
    pub async fn cancel(
        &mut self,
        run: &mut Run,
        error: Option<StepError>,
    ) -> Result<(), StoreError> {
        run.cancel(self.now()).map_err(corrupt)?;
        self.settle(run, Next::End { state: RunState::Cancelled, output: None, error }).await
    }

    /// Ends a run that cannot even be read: it fails, its steps stay as they are.
    pub async fn give_up(&mut self, code: &str, message: String) -> Result<(), StoreError> {
        let (id, state, error) = (self.row.id, RunState::Failed, permanent(code, message));
        let answer = respond::from_end(id, state, None, Some(&error));
        write(&self.inner, self.bare(Next::End { state, output: None, error: Some(error) }))
            .await?;
        self.inner.followers.answer(id, &answer);
        self.inner.followers.tell(self.row.tenant, id, &[], state, self.now());
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

    /// Everything that is not stored yet.
    fn command(&mut self, run: &mut Run, next: Next) -> Settle {
        let calls = std::mem::take(&mut self.calls);
        Settle { steps: run.take_changes(), calls, ..self.bare(next) }
    }

    /// Makes durable what happened since the last settle, and then tells it.
    pub async fn settle(&mut self, run: &mut Run, next: Next) -> Result<(), StoreError> {
        let command = self.command(run, next);
        self.owing = false;
        write(&self.inner, command.clone()).await?;
        self.tell(run, &command);
        Ok(())
    }

    fn tell(&self, run: &Run, command: &Settle) {
        let (id, state) = (self.row.id, state_after(&command.next));
        let answer = match (&command.next, run.response()) {
            (_, Some(output)) => Some(respond::from_node(output, state)),
            (Next::End { state, output, error }, None) => {
                Some(respond::from_end(id, *state, output.clone(), error.as_ref()))
            }
            _ => None,
        };
        if let Some(answer) = answer {
            self.inner.followers.answer(id, &answer);
        }
        self.inner.followers.tell(self.row.tenant, id, &command.steps, state, command.now);
    }
}

/// Writes, and tries again while the disk is full or the store busy: the results are here and
/// nowhere else. Ends with the lease at the latest.
async fn write(inner: &Inner, command: Settle) -> Result<(), StoreError> {
    loop {
        match inner.ports.store.settle(command.clone()).await {
            Err(error @ (StoreError::Full | StoreError::Busy { .. })) => {
                tracing::warn!(run = %command.lease.run, %error, "results wait to be written");
                tokio::time::sleep(SETTLE_RETRY).await;
            }
            other => return other,
        }
    }
}

fn state_after(next: &Next) -> RunState {
    match next {
        Next::Hold => RunState::Running,
        Next::Park { state, .. } | Next::End { state, .. } => *state,
    }
}
