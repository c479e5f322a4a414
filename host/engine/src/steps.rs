//! The steps of a run on its desk: their parameters, their attempts, and what these brought.

use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::json::Json;
use tombolo_core::ports::journal::JournalEntry;
use tombolo_core::ports::sandbox::{Invoked, LogLine, Outcome, StateWrite};
use tombolo_core::ports::store::{Call, Journaled, Next, StateChange, StoreError};
use tombolo_core::run::{Run, RunScope};
use tombolo_core::workflow::{Builtin, NodeIndex, Uses};

use crate::attempt::{self, Attempt, Prepared};
use crate::desk::{self, Desk};
use crate::drive::{Done, Pending};
use crate::errors::corrupt;

impl Desk {
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
    pub async fn begin(
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
        if run.step(at).input.is_none()
            && let Err(error) = run.admit(input.text().len())
        {
            run.refuse(at, error, now).map_err(corrupt)?;
            return Ok(None);
        }
        let builtin = matches!(run.node(at).uses, Uses::Builtin(_));
        run.start(at, (!builtin).then(|| input.clone()), now).map_err(corrupt)?;
        if run.node(at).effect.needs_intent() {
            self.settle(run, Next::Hold).await?;
        }
        Ok(Some(self.attempt(run, at, input)))
    }

    fn attempt(&self, run: &Run, at: NodeIndex, input: Json) -> Pending {
        let step = run.step(at);
        let journal = self.journals.get(&(step.node.clone(), step.item));
        let attempt = Attempt {
            of: self.of(),
            item: step.item,
            number: step.attempt,
            input,
            journal: journal.map(|entries| entries.as_slice().into()).unwrap_or_default(),
        };
        let (ports, plan) = (self.inner.ports.clone(), run.plan().clone());
        Box::pin(async move {
            let invoked = attempt::run(&ports, &plan.nodes[at], attempt).await?;
            Ok(Done::Attempted(at, invoked))
        })
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
        let Invoked { result, logs, calls, state, journal } = invoked;
        let call = |record| Call { node: name.clone(), item, attempt, record };
        self.calls.extend(calls.into_iter().map(call));
        let result = result.and_then(|outcome| {
            run.admit(outcome.output.text().len())?;
            Ok(outcome)
        });
        let error = match result {
            Ok(outcome) if state.is_empty() => {
                return run.succeed(at, outcome, logs, self.now()).map_err(corrupt);
            }
            Ok(outcome) => match self.commit(run, at, outcome, logs.clone(), state).await? {
                None => return Ok(()),
                Some(conflict) => conflict,
            },
            Err(error) => error,
        };
        self.keep(run, at, journal);
        let jitter = self.inner.ports.random.unit();
        run.fail(at, error, logs, self.now(), jitter).map(|_| ()).map_err(corrupt)
    }

    /// State that a plugin wrote is committed with its step's result or not at all, so the result
    /// counts only once it is durable: another run may have changed the same entry. Then the step
    /// has failed with the error returned.
    async fn commit(
        &mut self,
        run: &mut Run,
        at: NodeIndex,
        outcome: Outcome,
        logs: Vec<LogLine>,
        state: Vec<StateWrite>,
    ) -> Result<Option<StepError>, StoreError> {
        let mut done = run.clone();
        done.succeed(at, outcome, logs, self.now()).map_err(corrupt)?;
        let node = run.node(at);
        let (calls, journal) = (self.calls.clone(), self.journal.clone());
        let mut command = self.command(&mut done, Next::Hold);
        let workflow = self.row.workflow;
        let change = |write| StateChange { workflow, node: node.name.clone(), write };
        command.state = state.into_iter().map(change).collect();
        match desk::write(&self.inner, command.clone()).await {
            Ok(()) => {
                self.owing = false;
                self.tell(&done, &command);
                *run = done;
                Ok(None)
            }
            Err(error @ StoreError::StateConflict { .. }) => {
                // Nothing was written: the calls are still owed, and a new attempt reads afresh.
                (self.calls, self.journal) = (calls, journal);
                let class = match node.effect.repeatable() {
                    true => ErrorClass::Transient,
                    false => ErrorClass::Conflict,
                };
                Ok(Some(StepError::new(class, "state-conflict", error.to_string())))
            }
            Err(error) => Err(error),
        }
    }

    /// Remembers the calls of an attempt that failed for the step's next one.
    fn keep(&mut self, run: &Run, at: NodeIndex, entries: Vec<JournalEntry>) {
        if entries.is_empty() {
            return;
        }
        // Durable before the next attempt starts.
        self.owing = true;
        let (node, item) = (&run.node(at).name, run.step(at).item);
        let journaled = |entry| Journaled { node: node.clone(), item, entry };
        self.journal.extend(entries.iter().cloned().map(journaled));
        self.journals.entry((node.clone(), item)).or_default().extend(entries);
    }
}
