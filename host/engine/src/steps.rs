//! The steps of a run on its desk: their parameters, their attempts, and what these brought.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::{Map, Value};
use tombolo_core::effect::Effect;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::json::Json;
use tombolo_core::ports::journal::{self, JournalEntry};
use tombolo_core::ports::sandbox::{INTERRUPTED, Interrupt, Invoked, LogLine, Outcome, StateWrite};
use tombolo_core::ports::store::{Call, Journaled, Next, Pause, StateChange, StepKey, StoreError};
use tombolo_core::run::{Failed, Run, RunScope, StepAt, StepState, Treatment};
use tombolo_core::workflow::Builtin;

use crate::attempt::{self, Attempt, CONNECTION_PAUSED, CutOff, Prepared};
use crate::desk::{self, Desk};
use crate::drive::{Done, Pending};
use crate::errors::corrupt;

/// How long attempts that are cut off have to come back.
const CUT_OFF_WITHIN: Duration = Duration::from_secs(2);

/// The shortest wait of a step that the host had no room for; the longest is twice that.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// An attempt that failed, before it is decided what follows.
pub(crate) struct Failure {
    error: StepError,
    logs: Vec<LogLine>,
    journal: Vec<JournalEntry>,
}

impl Desk {
    /// Resolves the parameters of a step, unless an earlier attempt did.
    pub fn prepare(&self, run: &Run, at: StepAt) -> Pending {
        let ready =
            |prepared| -> Pending { Box::pin(async move { Ok(Done::Prepared(at, prepared)) }) };
        let (node, step) = (run.node(at), run.step(at));
        if let (StepState::Waiting, Some(_), Some(due)) = (step.state, node.builtin(), step.due_at)
        {
            return ready(Prepared::Due(due));
        }
        if let Some(input) = step.input.clone() {
            return ready(Prepared::Input(input));
        }
        let scope = self.scope(run, at);
        let (ports, of, plan) = (self.inner.ports.clone(), self.of(), run.plan().clone());
        Box::pin(async move {
            let node = &plan.nodes[at.node];
            let prepared = match &node.each {
                Some(each) if !at.is_item() => {
                    attempt::prepare_list(&ports, &of, node, each, scope).await
                }
                _ => attempt::prepare(&ports, &of, node, scope).await,
            };
            Ok(Done::Prepared(at, prepared))
        })
    }

    fn scope(&self, run: &Run, at: StepAt) -> RunScope {
        RunScope::new(run, at, self.row.id, &self.event.payload, self.callbacks(run))
    }

    /// The addresses of the run's nodes that wait for somebody.
    fn callbacks(&self, run: &Run) -> Map<String, Value> {
        let waits = |builtin: Option<Builtin>| builtin.is_some_and(Builtin::has_address);
        let nodes = run.plan().nodes.iter().filter(|node| waits(node.builtin()));
        let addresses = &self.inner.ports.callbacks;
        nodes
            .map(|node| {
                let address = addresses.address(self.row.tenant, self.row.id, &node.name);
                (node.name.clone(), address.into())
            })
            .collect()
    }

    /// Starts what was prepared: an attempt, behind a barrier if its effect is unsafe; a list; a
    /// built-in.
    pub async fn begin(
        &mut self,
        run: &mut Run,
        at: StepAt,
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
            Prepared::Busy(error) => {
                self.postpone(run, at, error)?;
                return Ok(None);
            }
            // Something from outside has come first.
            Prepared::Due(_) if run.step(at).state.ended() => return Ok(None),
            Prepared::Due(due) => {
                run.time_has_come(at, due, now).map_err(corrupt)?;
                return Ok(None);
            }
            Prepared::List(list) => {
                self.begin_list(run, at, list)?;
                return Ok(None);
            }
            Prepared::Input(input) => input,
        };
        if run.step(at).input.is_none()
            && let Err(error) = run.admit(input.text().len())
        {
            run.refuse(at, error, now).map_err(corrupt)?;
            return Ok(None);
        }
        if let Some(builtin) = run.node(at).builtin() {
            self.begin_builtin(run, at, builtin, input).await?;
            return Ok(None);
        }
        run.start(at, Some(input.clone()), now).map_err(corrupt)?;
        if run.node(at).effect.needs_intent() {
            self.settle(run, Next::Hold).await?;
        }
        Ok(Some(self.attempt(run, at, input)))
    }

    fn begin_list(&mut self, run: &mut Run, at: StepAt, list: Json) -> Result<(), StoreError> {
        match run.admit(list.text().len()) {
            Ok(()) => run.expand(at.node, list, self.now()).map_err(corrupt)?,
            Err(error) => run.refuse(at, error, self.now()).map_err(corrupt)?,
        }
        // The key of an item names its place: nothing is called under it before the list is durable.
        // An unsafe item has its intent stored, and the list with it.
        let begins = run.step(at).state == StepState::Waiting;
        self.owing |= begins && run.node(at).effect == Effect::Keyed;
        Ok(())
    }

    /// Lets a step begin anew soon that the host had no room for.
    pub(crate) fn postpone(
        &self,
        run: &mut Run,
        at: StepAt,
        error: StepError,
    ) -> Result<(), StoreError> {
        let wait = BUSY_WAIT.mul_f64(1.0 + self.inner.ports.random.unit());
        run.postpone(at, error, self.now().plus(wait)).map_err(corrupt)
    }

    /// Begins the attempts whose intents came with the run's accept.
    pub(crate) fn begun(&self, run: &Run) -> impl Iterator<Item = Pending> {
        let attempt = |at| {
            let input = run.step(at).input.clone().unwrap_or_default();
            self.attempt(run, at, input)
        };
        run.under_way().into_iter().map(attempt)
    }

    fn attempt(&self, run: &Run, at: StepAt, input: Json) -> Pending {
        let step = run.step(at);
        let journal = self.journals.get(&step.key());
        let attempt = Attempt {
            of: self.of(),
            item: step.item,
            edits: step.edits,
            number: step.attempt,
            input,
            journal: journal.map(|entries| entries.as_slice().into()).unwrap_or_default(),
            cut_off: self.cut_off.clone(),
        };
        let (inner, plan) = (self.inner.clone(), run.plan().clone());
        Box::pin(async move {
            let invoked = attempt::run(&inner, &plan.nodes[at.node], attempt).await?;
            Ok(Done::Attempted(at, invoked))
        })
    }

    /// Applies what an attempt brought. What follows a failure may have to be asked for first.
    pub async fn finish(
        &mut self,
        run: &mut Run,
        at: StepAt,
        invoked: Invoked,
    ) -> Result<Option<Pending>, StoreError> {
        let (node, step) = (run.node(at), run.step(at));
        let (name, item, attempt) = (&node.name, step.item, step.attempt);
        self.owing |= node.effect.needs_intent();
        let Invoked { result, logs, calls, state, journal } = invoked;
        let call = |record| Call { node: name.clone(), item, attempt, record };
        self.owed.calls.extend(calls.into_iter().map(call));
        let result = result.and_then(|outcome| {
            run.admit(outcome.output.text().len())?;
            Ok(outcome)
        });
        let error = match result {
            Ok(outcome) if state.is_empty() => {
                self.forget_calls(&run.step(at).key());
                run.succeed(at, outcome, logs, self.now()).map_err(corrupt)?;
                return Ok(None);
            }
            Ok(outcome) => match self.commit(run, at, outcome, logs.clone(), state).await? {
                None => return Ok(None),
                Some(conflict) => conflict,
            },
            Err(error) if attempt::is_busy(&error) => {
                self.postpone(run, at, error)?;
                return Ok(None);
            }
            Err(error) => error,
        };
        let failure = Failure { error, logs, journal };
        match &run.node(at).retry_if {
            None => self.fail(run, at, failure, None).map(|()| None),
            Some(_) => Ok(Some(self.judge(run, at, failure))),
        }
    }

    /// Ends the attempts under way, and takes in what they have done by then: one that has succeeded
    /// counts, and what the others have called goes on record.
    pub async fn cut_off(
        &mut self,
        run: &mut Run,
        pending: &mut FuturesUnordered<Pending>,
    ) -> Result<(), StoreError> {
        self.cut_off.cut();
        let end = tokio::time::Instant::now() + CUT_OFF_WITHIN;
        while let Ok(Some(done)) = tokio::time::timeout_at(end, pending.next()).await {
            match done? {
                // Its step has not begun.
                Done::Prepared(..) => {}
                // It stays in the store.
                Done::Heard(_) => {}
                Done::Judged(at, failure, judged) => self.fail_judged(run, at, failure, judged)?,
                Done::Attempted(at, invoked) => match &invoked.result {
                    Err(error) if error.code == INTERRUPTED => self.cut_short(run, at, invoked)?,
                    _ => pending.extend(self.finish(run, at, invoked).await?),
                },
            }
        }
        Ok(())
    }

    fn cut_short(&mut self, run: &mut Run, at: StepAt, invoked: Invoked) -> Result<(), StoreError> {
        let (key, attempt) = (run.step(at).key(), run.step(at).attempt);
        let StepKey { node, item } = key;
        let call = |record| Call { node: node.clone(), item, attempt, record };
        self.owed.calls.extend(invoked.calls.into_iter().map(call));
        self.keep(run, at, invoked.journal);
        match invoked.result {
            // Left as it is: what follows says what nobody knows.
            Err(error) if error.class == ErrorClass::UnknownOutcome => Ok(()),
            // It has changed nothing that a later attempt would change again.
            _ => run.abandon(at).map_err(corrupt),
        }
    }

    /// Asks the node's `retry.if` what follows.
    fn judge(&self, run: &Run, at: StepAt, failure: Failure) -> Pending {
        let scope = self.scope(run, at).with_failure(&failure.error, run.step(at).attempt);
        let (ports, of, plan) = (self.inner.ports.clone(), self.of(), run.plan().clone());
        let cut_off = self.cut_off.clone();
        Box::pin(async move {
            let node = &plan.nodes[at.node];
            let judged = match &node.retry_if {
                Some(condition) => {
                    let ask = || attempt::judge(&ports, &of, node, condition, scope.clone());
                    until_answered(ask, &cut_off).await
                }
                None => Ok(false),
            };
            Ok(Done::Judged(at, failure, judged))
        })
    }

    /// Applies a failure. A condition that gives no answer leaves the decision to the class.
    pub fn fail_judged(
        &mut self,
        run: &mut Run,
        at: StepAt,
        mut failure: Failure,
        judged: Result<bool, StepError>,
    ) -> Result<(), StoreError> {
        let judged = match judged {
            Ok(again) => Some(again),
            Err(error) => {
                let message = format!("`retry.if` has no answer: {}", error.message);
                failure.logs.push(LogLine { level: "warn".to_owned(), message });
                None
            }
        };
        self.fail(run, at, failure, judged)
    }

    fn fail(
        &mut self,
        run: &mut Run,
        at: StepAt,
        failure: Failure,
        judged: Option<bool>,
    ) -> Result<(), StoreError> {
        let Failure { error, logs, journal } = failure;
        self.keep(run, at, journal);
        let failed = Failed { judged, now: self.now(), jitter: self.inner.ports.random.unit() };
        let pause = (error.code != CONNECTION_PAUSED).then(|| error.message.clone());
        let treatment = run.fail(at, error, logs, failed).map_err(corrupt)?;
        if treatment == Treatment::Pause
            && let (Some(reason), Some(connection)) = (pause, run.node(at).connection.clone())
        {
            // Durable at once: every further call would be refused, too.
            self.owing = true;
            self.owed.pauses.push(Pause { connection, reason });
        }
        Ok(())
    }

    /// State that a plugin wrote is committed with its step's result or not at all, so the result
    /// counts only once it is durable: another run may have changed the same entry. Then the step
    /// has failed with the error returned.
    async fn commit(
        &mut self,
        run: &mut Run,
        at: StepAt,
        outcome: Outcome,
        logs: Vec<LogLine>,
        state: Vec<StateWrite>,
    ) -> Result<Option<StepError>, StoreError> {
        let mut done = run.clone();
        done.succeed(at, outcome, logs, self.now()).map_err(corrupt)?;
        let node = run.node(at);
        let (key, owed) = (run.step(at).key(), self.owed.clone());
        let journal = self.forget_calls(&key);
        let mut command = self.command(&mut done, Next::Hold);
        let workflow = self.row.workflow;
        let change = |write| StateChange { workflow, node: node.name.clone(), write };
        command.state = state.into_iter().map(change).collect();
        match desk::write(&self.inner, command.clone()).await {
            Ok(()) => {
                self.written(&mut done, &command);
                *run = done;
                Ok(None)
            }
            Err(error @ StoreError::StateConflict { .. }) => {
                // Nothing was written: it is all still owed, and a new attempt reads afresh.
                self.owed = owed;
                self.journals.extend(journal.map(|entries| (key, entries)));
                let class = match node.effect.repeatable() {
                    true => ErrorClass::Transient,
                    false => ErrorClass::Conflict,
                };
                Ok(Some(StepError::new(class, "state-conflict", error.to_string())))
            }
            Err(error) => Err(error),
        }
    }

    /// A step that has succeeded is not run again, so nobody asks for its calls.
    fn forget_calls(&mut self, key: &StepKey) -> Option<Vec<JournalEntry>> {
        let journal = self.journals.remove(key)?;
        let of_another = |entry: &Journaled| (&entry.node, entry.item) != (&key.node, key.item);
        self.owed.journal.retain(of_another);
        self.owed.forgets.push(key.clone());
        Some(journal)
    }

    /// Remembers the calls of an attempt that failed for the step's next one.
    fn keep(&mut self, run: &Run, at: StepAt, entries: Vec<JournalEntry>) {
        if entries.is_empty() {
            return;
        }
        // Durable before the next attempt starts.
        self.owing = true;
        let key = run.step(at).key();
        let journaled = |entry| Journaled { node: key.node.clone(), item: key.item, entry };
        self.owed.journal.extend(entries.iter().cloned().map(journaled));
        journal::add(self.journals.entry(key).or_default(), entries);
    }
}

/// Asks until the evaluator has room for an answer, or the attempts of the run are cut off.
async fn until_answered<Answer>(
    ask: impl Fn() -> Answer,
    cut_off: &CutOff,
) -> Result<bool, StepError>
where
    Answer: Future<Output = Result<bool, StepError>>,
{
    loop {
        let answer = ask().await;
        let busy = answer.as_ref().is_err_and(|error| error.class == ErrorClass::Transient);
        if !busy || cut_off.is_cut() {
            return answer;
        }
        tokio::select! {
            () = tokio::time::sleep(BUSY_WAIT) => {}
            () = cut_off.interrupted() => {}
        }
    }
}
