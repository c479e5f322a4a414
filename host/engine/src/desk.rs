//! One run on the desk of its driver: what is stored of it, what is not yet, and when that has to
//! change. Every write of a run goes through here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tombolo_core::clock::Timestamp;
use tombolo_core::error::StepError;
use tombolo_core::id::TenantId;
use tombolo_core::ports::journal::JournalEntry;
use tombolo_core::ports::store::{
    Call, EventRow, Journaled, Lease, Next, RunRow, Settle, StepRow, StoreError,
};
use tombolo_core::run::{Run, RunState, Standing};
use tombolo_core::workflow::Plan;

use crate::attempt::Of;
use crate::errors::{corrupt, permanent};
use crate::leases::Signals;
use crate::registry::NoPlan;
use crate::{Inner, respond};

/// How long to wait before the store is asked again to take a result that it refused for lack of
/// room: the result exists only here, so it is not given up while the lease holds.
const SETTLE_RETRY: Duration = Duration::from_millis(200);

/// A run that is worked on.
pub(crate) struct Desk {
    pub inner: Arc<Inner>,
    pub row: RunRow,
    pub event: EventRow,
    lease: Lease,
    /// Made since the last settle.
    pub calls: Vec<Call>,
    /// Of attempts that failed since the last settle.
    pub journal: Vec<Journaled>,
    /// Everything journaled, by node and item: what a later attempt need not call again.
    pub journals: HashMap<(String, u32), Vec<JournalEntry>>,
    /// A result has to be durable before anything else happens: an unsafe effect's, or one that
    /// somebody waits for.
    pub owing: bool,
}

impl Desk {
    pub fn new(
        inner: &Arc<Inner>,
        row: RunRow,
        event: EventRow,
        lease: Lease,
        journal: Vec<Journaled>,
    ) -> Self {
        let mut journals: HashMap<_, Vec<_>> = HashMap::new();
        for Journaled { node, item, entry } in journal {
            journals.entry((node, item)).or_default().push(entry);
        }
        let (inner, calls, journal) = (inner.clone(), Vec::new(), Vec::new());
        Self { inner, row, event, lease, calls, journal, journals, owing: false }
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

    /// Gives the run back as far as it has come. Attempts under way are cut off.
    pub async fn leave(&mut self, run: &mut Run) -> Result<(), StoreError> {
        run.recover(self.now()).map_err(corrupt)?;
        let (state, available_at) = (RunState::Queued, self.now());
        self.settle(run, Next::Park { state, available_at }).await
    }

    /// Ends a run that cannot go on, and its steps with it.
    pub async fn give_up_run(
        &mut self,
        run: &mut Run,
        code: &str,
        message: String,
    ) -> Result<(), StoreError> {
        run.give_up(self.now()).map_err(corrupt)?;
        self.give_up(run.take_changes(), code, message).await
    }

    /// Ends a run that cannot go on, with the steps that changed by that.
    pub async fn give_up(
        &mut self,
        steps: Vec<StepRow>,
        code: &str,
        message: String,
    ) -> Result<(), StoreError> {
        let (id, state, error) = (self.row.id, RunState::Failed, permanent(code, message));
        let answer = respond::from_end(id, state, None, Some(&error));
        let last = last(self.row.tenant, self.lease.clone(), steps, error, self.now());
        let steps = last.steps.clone();
        write(&self.inner, last).await?;
        self.inner.followers.answer(id, &answer);
        self.inner.followers.tell(self.row.tenant, id, &steps, state, self.now());
        Ok(())
    }

    /// Everything that is not stored yet.
    pub fn command(&mut self, run: &mut Run, next: Next) -> Settle {
        Settle {
            tenant: self.row.tenant,
            lease: self.lease.clone(),
            steps: run.take_changes(),
            calls: std::mem::take(&mut self.calls),
            journal: std::mem::take(&mut self.journal),
            state: Vec::new(),
            next,
            now: self.now(),
        }
    }

    /// Makes durable what happened since the last settle, and then tells it. There is one settle at
    /// a time, so that none overtakes another.
    pub async fn settle(&mut self, run: &mut Run, next: Next) -> Result<(), StoreError> {
        let command = self.command(run, next);
        self.owing = false;
        if let Err(error) = write(&self.inner, command.clone()).await {
            run.put_back(&command.steps);
            return Err(error);
        }
        self.tell(run, &command);
        Ok(())
    }

    pub fn tell(&self, run: &Run, command: &Settle) {
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
    Settle {
        tenant,
        lease,
        steps,
        calls: Vec::new(),
        journal: Vec::new(),
        state: Vec::new(),
        next: Next::End { state: RunState::Failed, output: None, error: Some(error) },
        now,
    }
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
