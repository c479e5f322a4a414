//! One run on the desk of its driver: what is stored of it, what is not yet, and when that has to
//! change. Every write of a run goes through here.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tombolo_core::clock::Timestamp;
use tombolo_core::effect::Effect;
use tombolo_core::error::StepError;
use tombolo_core::id::TenantId;
use tombolo_core::json::Json;
use tombolo_core::ports::journal::JournalEntry;
use tombolo_core::ports::store::{
    ClaimedRun, EventRow, Journaled, Lease, Letters, NewLetter, Next, RunRow, Settle, Signal,
    StepKey, StepRow, StoreError,
};
use tombolo_core::run::{Run, RunState, Standing, end_of_call};
use tombolo_core::workflow::Plan;

use crate::attempt::{CutOff, Of};
use crate::errors::{corrupt, permanent};
use crate::leases::Signals;
use crate::owed::Owed;
use crate::registry::NoPlan;
use crate::{Inner, respond, starts};

/// How long to wait before the store is asked again to take a result that it refused for lack of
/// room: the result exists only here, so it is not given up while the lease holds.
const SETTLE_RETRY: Duration = Duration::from_millis(200);

/// Steps that may have ended without being stored: what a crash costs, and what progress shows.
const MAX_UNSETTLED_STEPS: usize = 256;

/// How long an effect that need not be durable at once may stay unstored while its run goes on.
const UNSETTLED_FOR: Duration = Duration::from_secs(1);

/// A run that is worked on.
pub(crate) struct Desk {
    pub inner: Arc<Inner>,
    pub row: RunRow,
    pub event: EventRow,
    lease: Lease,
    /// What goes with the next settle, beside the steps that changed.
    pub owed: Owed,
    /// Everything journaled, of steps that may have a later attempt.
    pub journals: HashMap<StepKey, Vec<JournalEntry>>,
    /// What came from outside for steps that do not wait for it yet.
    pub signals: HashMap<StepKey, Json>,
    /// A result has to be durable before anything else happens: an unsafe effect's, or one that
    /// somebody waits for.
    pub owing: bool,
    /// Ends the attempts under way.
    pub cut_off: CutOff,
    /// When the first effect ended that is not stored yet.
    effect_since: Option<Timestamp>,
}

impl Desk {
    /// The desk, and the steps as they are stored.
    pub fn new(inner: &Arc<Inner>, claimed: ClaimedRun) -> (Self, Vec<StepRow>, Vec<Signal>) {
        let ClaimedRun { run: row, event, steps, journal, signals, lease, .. } = claimed;
        let mut journals: HashMap<_, Vec<_>> = HashMap::new();
        for Journaled { node, item, entry } in journal {
            journals.entry(StepKey { node, item }).or_default().push(entry);
        }
        let desk = Self {
            inner: inner.clone(),
            row,
            event,
            lease,
            owed: Owed::default(),
            journals,
            signals: HashMap::new(),
            owing: false,
            cut_off: CutOff::default(),
            effect_since: None,
        };
        (desk, steps, signals)
    }

    pub fn now(&self) -> Timestamp {
        self.inner.ports.clock.now()
    }

    /// An attempt has ended, and with it perhaps an effect.
    pub fn count_effect(&mut self, effect: Effect) {
        if effect > Effect::Pure && self.effect_since.is_none() {
            self.effect_since = Some(self.now());
        }
    }

    /// True if something should be stored before anything else is awaited.
    pub fn owes(&self, run: &Run) -> bool {
        let too_long = |since: Timestamp| self.now().since(since) >= UNSETTLED_FOR;
        self.owing
            || run.unsettled() >= MAX_UNSETTLED_STEPS
            || self.effect_since.is_some_and(too_long)
    }

    pub async fn plan(&self) -> Result<Arc<Plan>, NoPlan> {
        let RunRow { tenant, workflow, version, .. } = self.row;
        self.inner.ports.registry.plan(tenant, workflow, version).await
    }

    pub fn of(&self) -> Of {
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

    /// Lets steps go on whose connection is paused no more.
    pub async fn release_mended(&self, run: &mut Run) -> Result<(), StoreError> {
        let mut mended = BTreeSet::new();
        for name in run.paused_connections() {
            let connection = self.inner.ports.store.connection(self.row.tenant, &name).await?;
            // One that is gone is an error of the step, which it is told by trying.
            if connection.is_none_or(|connection| connection.paused.is_none()) {
                mended.insert(name);
            }
        }
        run.release(self.now(), |name| mended.contains(name));
        Ok(())
    }

    /// What came from outside and is not heard yet.
    pub async fn news(&self) -> Result<Vec<Signal>, StoreError> {
        let all = self.inner.ports.store.signals(self.row.tenant, self.row.id).await?;
        let heard = |signal: &Signal| {
            self.signals.contains_key(&signal.step) || self.owed.used.contains(&signal.step)
        };
        Ok(all.into_iter().filter(|signal| !heard(signal)).collect())
    }

    /// True if this process is about to end.
    pub fn must_leave(&self) -> bool {
        self.inner.abandon.is_cancelled()
    }

    /// Waits until this process is about to end.
    pub async fn leaving(&self) {
        self.inner.abandon.cancelled().await;
    }

    /// Nothing is under way: parks or ends the run.
    pub async fn rest(&mut self, run: &mut Run) -> Result<(), StoreError> {
        match run.standing() {
            Standing::Parked { due, connections } => {
                let available_at = match (due, self.row.deadline) {
                    (Some(due), Some(deadline)) => Some(due.min(deadline)),
                    (due, deadline) => due.or(deadline),
                };
                let state = RunState::Waiting;
                self.settle(run, Next::Park { state, available_at, connections }).await?;
                self.inner.wake.notify_one();
                Ok(())
            }
            Standing::Ended { state, output, error } => {
                if let Some(error) = &error {
                    self.announce_failure(run, error).await;
                }
                self.settle(run, Next::End { state, output, error }).await
            }
            Standing::Busy => {
                Err(StoreError::Corrupt("a step is running that nobody runs".to_owned()))
            }
        }
    }

    /// Starts the workflows that take the failure of this one.
    async fn announce_failure(&mut self, run: &Run, error: &StepError) {
        let steps: Vec<StepRow> = run.rows().cloned().collect();
        let (name, payload) = (&run.plan().name, self.event.payload.value());
        let (ports, now) = (&self.inner.ports, self.now());
        let accept = starts::failure(ports, &self.row, name, payload, error, &steps, now).await;
        self.owed.starts.extend(accept);
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

    /// Gives the run back as far as it has come. Attempts under way are cut off.
    pub async fn leave(&mut self, run: &mut Run) -> Result<(), StoreError> {
        run.recover(self.now()).map_err(corrupt)?;
        let (state, available_at) = (RunState::Queued, Some(self.now()));
        self.settle(run, Next::Park { state, available_at, connections: BTreeSet::new() }).await
    }

    /// Ends a run that cannot go on, and its steps with it.
    pub async fn give_up_run(
        &mut self,
        run: &mut Run,
        code: &str,
        message: String,
    ) -> Result<(), StoreError> {
        let error = permanent(code, message);
        run.give_up(&error, self.now()).map_err(corrupt)?;
        let steps = run.take_changes();
        let letters = self.new_letters(run, &steps);
        self.end_badly(steps, letters, error).await
    }

    /// Ends a run that cannot go on, with the steps that changed by that.
    pub async fn give_up(
        &mut self,
        steps: Vec<StepRow>,
        code: &str,
        message: String,
    ) -> Result<(), StoreError> {
        self.end_badly(steps, Letters::default(), permanent(code, message)).await
    }

    async fn end_badly(
        &mut self,
        steps: Vec<StepRow>,
        letters: Letters,
        error: StepError,
    ) -> Result<(), StoreError> {
        let (id, state) = (self.row.id, RunState::Failed);
        let answer = respond::from_end(id, state, None, Some(&error));
        let mut last = last(self.row.tenant, self.lease.clone(), steps, error, self.now());
        last.signal = self.end_of_call(&last.next);
        last.letters = letters;
        write(&self.inner, last.clone()).await?;
        self.inner.news.note(&last);
        self.inner.wake.notify_one();
        self.inner.followers.answer(id, &answer);
        self.inner.followers.tell(self.row.tenant, id, &last.steps, state, self.now());
        Ok(())
    }

    /// What the end of this run tells the step that waits for it.
    fn end_of_call(&self, next: &Next) -> Option<Signal> {
        let parent = self.row.parent.as_ref()?;
        let Next::End { state, output, error } = next else {
            return None;
        };
        let cancelled =
            || permanent("called-run-cancelled", format!("the run {} was cancelled", self.row.id));
        let mut error = match (state, error) {
            (RunState::Succeeded, _) => None,
            (_, Some(error)) => Some(error.clone()),
            (_, None) => Some(cancelled()),
        };
        if let Some(error) = &mut error {
            error.details = Some(json!({"run": self.row.id, "details": error.details}));
        }
        Some(Signal {
            tenant: self.row.tenant,
            run: parent.run,
            step: StepKey { node: parent.node.clone(), item: parent.item },
            body: end_of_call(output.as_ref(), error.as_ref()),
            at: self.now(),
        })
    }

    /// Everything that is not stored yet.
    pub fn command(&mut self, run: &mut Run, next: Next) -> Settle {
        let Owed { calls, journal, forgets, starts, used, pauses } = std::mem::take(&mut self.owed);
        let steps = run.take_changes();
        Settle {
            letters: self.new_letters(run, &steps),
            steps,
            calls,
            journal,
            forgets,
            starts,
            used,
            pauses,
            signal: self.end_of_call(&next),
            ..Settle::new(self.row.tenant, self.lease.clone(), next, self.now())
        }
    }

    fn new_letters(&self, run: &Run, steps: &[StepRow]) -> Letters {
        let dead = steps.iter().filter(|step| run.is_dead_letter(step));
        let opened = dead.filter_map(|step| {
            Some(NewLetter {
                step: step.key(),
                workflow: self.row.workflow,
                state: step.state,
                error: step.error.clone()?,
            })
        });
        Letters { opened: opened.collect(), ..Letters::default() }
    }

    /// Makes durable what happened since the last settle, and then tells it. There is one settle at
    /// a time, so that none overtakes another.
    pub async fn settle(&mut self, run: &mut Run, next: Next) -> Result<(), StoreError> {
        let command = self.command(run, next);
        if let Err(error) = write(&self.inner, command.clone()).await {
            run.put_back(&command.steps);
            return Err(error);
        }
        self.written(run, &command);
        Ok(())
    }

    /// A settle is durable.
    pub fn written(&mut self, run: &mut Run, command: &Settle) {
        self.owing = false;
        self.effect_since = None;
        let gives_way = run.plan().limited && !matches!(command.next, Next::Hold);
        if gives_way || !command.starts.is_empty() || command.signal.is_some() {
            self.inner.wake.notify_one();
        }
        self.inner.news.note(command);
        self.tell(run, command);
        run.slim(&command.steps);
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

/// The last write of a run that cannot go on.
pub(crate) fn last(
    tenant: TenantId,
    lease: Lease,
    steps: Vec<StepRow>,
    error: StepError,
    now: Timestamp,
) -> Settle {
    let next = Next::End { state: RunState::Failed, output: None, error: Some(error) };
    Settle { steps, ..Settle::new(tenant, lease, next, now) }
}

/// Writes, and tries again while the disk is full or the database is busy: the results are here and
/// nowhere else. A database that fails otherwise has the time of a lease. Ends when the lease is
/// lost, because the driver does, or when the process ends.
pub(crate) async fn write(inner: &Inner, command: Settle) -> Result<(), StoreError> {
    let gives_up_at = inner.ports.clock.now().plus(inner.settings.lease());
    loop {
        let error = match inner.ports.store.settle(command.clone()).await {
            Err(error @ (StoreError::Full | StoreError::Busy { .. } | StoreError::Locked)) => error,
            Err(error @ StoreError::Database(_)) if inner.ports.clock.now() < gives_up_at => error,
            other => return other,
        };
        tracing::warn!(run = %command.lease.run, %error, "results wait to be written");
        tokio::select! {
            () = tokio::time::sleep(SETTLE_RETRY) => {}
            () = inner.abandon.cancelled() => return Err(error),
        }
    }
}

fn state_after(next: &Next) -> RunState {
    match next {
        Next::Hold => RunState::Running,
        Next::Park { state, .. } | Next::End { state, .. } => *state,
    }
}
