//! One run on the desk of its driver: what is stored of it, what is not yet, and when that has to
//! change. Every write of a run goes through here.

mod ends;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tombolo_core::clock::Timestamp;
use tombolo_core::json::Json;
use tombolo_core::ports::journal::JournalEntry;
use tombolo_core::ports::store::{
    ClaimedRun, EventRow, Journaled, Lease, Letters, NewLetter, Next, RunRow, Settle, Signal,
    StepKey, StepRow, StoreError,
};
use tombolo_core::run::{Run, RunState};
use tombolo_core::workflow::Plan;

use crate::attempt::{CutOff, Of};
use crate::owed::Owed;
use crate::registry::NoPlan;
use crate::{Inner, cancels, respond};

/// How long to wait before the store is asked again to take a result that it refused for lack of
/// room: the result exists only here, so it is not given up while the lease holds.
const SETTLE_RETRY: Duration = Duration::from_millis(200);

/// Steps that may have ended without being stored: what a crash costs, and what progress shows.
const MAX_UNSETTLED_STEPS: usize = 256;

/// How long what has changed may stay unstored while its run goes on: so much may a crash cost, and by
/// so much is what is shown behind.
const UNSETTLED_FOR: Duration = Duration::from_secs(1);

/// A run that is worked on.
pub(crate) struct Desk {
    pub inner: Arc<Inner>,
    pub row: RunRow,
    pub event: EventRow,
    pub lease: Lease,
    /// What goes with the next settle, beside the steps that changed.
    pub owed: Owed,
    /// Everything journaled, of steps that may have a later attempt.
    pub journals: HashMap<StepKey, Vec<JournalEntry>>,
    /// What came from outside for steps that do not wait for it yet.
    pub signals: HashMap<StepKey, Json>,
    /// A result has to be durable before anything else happens: an unsafe effect's, or one that
    /// somebody waits for.
    pub owing: bool,
    /// What came from outside is being read.
    pub listens: bool,
    /// Ends the attempts under way.
    pub cut_off: CutOff,
    /// When the first step changed that is not stored yet.
    unstored_since: Option<Timestamp>,
}

impl Drop for Desk {
    /// A run that is left in the middle, because its lease is lost, calls no more.
    fn drop(&mut self) {
        self.cut_off.cut();
    }
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
            listens: false,
            cut_off: CutOff::default(),
            unstored_since: None,
        };
        (desk, steps, signals)
    }

    pub fn now(&self) -> Timestamp {
        self.inner.ports.clock.now()
    }

    /// True if something should be stored before anything else is awaited.
    pub fn owes(&mut self, run: &Run) -> bool {
        let now = self.now();
        if run.has_changes() {
            self.unstored_since.get_or_insert(now);
        }
        // A clock that was set back says nothing.
        let too_long = |since: Timestamp| now < since || now.since(since) >= UNSETTLED_FOR;
        self.owing
            || run.unsettled() >= MAX_UNSETTLED_STEPS
            || self.unstored_since.is_some_and(too_long)
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

    pub(crate) fn new_letters(&self, run: &Run, steps: &[StepRow]) -> Letters {
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
            let Settle { calls, journal, forgets, starts, used, pauses, .. } = command;
            self.owed = Owed { calls, journal, forgets, starts, used, pauses };
            return Err(error);
        }
        self.written(run, &command);
        Ok(())
    }

    /// A settle is durable.
    pub fn written(&mut self, run: &mut Run, command: &Settle) {
        self.owing = false;
        self.unstored_since = None;
        let gives_way = run.plan().limited && !matches!(command.next, Next::Hold);
        if gives_way || !command.starts.is_empty() {
            self.inner.wake.notify_one();
        }
        if self.inner.leases.clear(self.row.id) {
            self.inner.wake.notify_one();
        }
        self.tell_caller(command);
        cancels::tell_after(&self.inner, run.rows(), command);
        self.inner.news.note(command);
        self.tell(run, command);
        run.slim(&command.steps);
    }

    /// The run that waits for the end of this one goes on: here, or as soon as it is claimed.
    pub(crate) fn tell_caller(&self, command: &Settle) {
        if let Some(signal) = &command.signal
            && !self.inner.leases.tell_news(signal.run)
        {
            self.inner.wake.notify_one();
        }
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

/// Writes, and tries again while the disk is full or the database is busy: the results are here and
/// nowhere else. A database that fails otherwise has the time of a lease. Ends when the lease is
/// lost, because the driver does, or when the process ends.
pub(crate) async fn write(inner: &Inner, command: Settle) -> Result<(), StoreError> {
    let gives_up_at = inner.ports.clock.now().plus(inner.settings.lease());
    loop {
        let error = match inner.ports.store.settle(command.clone()).await {
            Err(error @ (StoreError::Full | StoreError::Busy { .. } | StoreError::Locked)) => error,
            Err(error @ (StoreError::Unreachable(_) | StoreError::Database(_)))
                if inner.ports.clock.now() < gives_up_at =>
            {
                error
            }
            other => return other,
        };
        tracing::warn!(run = %command.lease.run, %error, "results wait to be written");
        tokio::select! {
            () = tokio::time::sleep(SETTLE_RETRY) => {}
            () = inner.abandon.cancelled() => return Err(error),
        }
    }
}

/// Reads, and tries again as [`write()`] does, for the time of a lease: what else goes on with the run
/// is not to be lost for it.
pub(crate) async fn read<T, Answer>(
    inner: &Inner,
    query: impl Fn() -> Answer,
) -> Result<T, StoreError>
where
    Answer: Future<Output = Result<T, StoreError>>,
{
    let gives_up_at = inner.ports.clock.now().plus(inner.settings.lease());
    loop {
        let error = match query().await {
            Err(error) if error.passes() && inner.ports.clock.now() < gives_up_at => error,
            other => return other,
        };
        tracing::warn!(%error, "a run waits for the store to be read");
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
