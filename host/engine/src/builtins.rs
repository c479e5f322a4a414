//! Built-in nodes on the desk: what they begin, and what lets them go on.

use serde_json::json;
use tombolo_core::clock::Timestamp;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::RunId;
use tombolo_core::json::Json;
use tombolo_core::ports::intake::Subscriptions;
use tombolo_core::ports::sandbox::Outcome;
use tombolo_core::ports::store::{Parent, Signal, StoreError};
use tombolo_core::run::{
    self, Begun, MAX_CALL_DEPTH, Publication, Run, StepAt, StepState, WorkflowCall,
};
use tombolo_core::workflow::{Builtin, is_event_name};

use crate::desk::Desk;
use crate::errors::{corrupt, permanent};
use crate::starts::{self, Inside};

impl Desk {
    /// Begins a built-in. What it starts goes with the next settle.
    pub(crate) async fn begin_builtin(
        &mut self,
        run: &mut Run,
        at: StepAt,
        builtin: Builtin,
        input: Json,
    ) -> Result<(), StoreError> {
        let now = self.now();
        run.start(at, (!builtin.echoes()).then(|| input.clone()), now).map_err(corrupt)?;
        let result = match run::begin(builtin, &input, now) {
            Ok(Begun::Done(outcome)) => Ok(Some(outcome)),
            Ok(Begun::Waits { due }) => return self.wait(run, at, builtin, due),
            Ok(Begun::Calls(call)) => self.call(run, at, call).await.map_err(corrupt)?,
            Ok(Begun::Publishes(publication)) => self.publish(run, at, publication).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(None) => Ok(()),
            Ok(Some(outcome)) => {
                // Somebody waits for this one.
                self.owing |= builtin == Builtin::Respond;
                match run.admit(outcome.output.text().len()) {
                    Ok(()) => run.succeed(at, outcome, Vec::new(), now).map_err(corrupt),
                    Err(error) => run.refuse(at, error, now).map_err(corrupt),
                }
            }
            Err(busy) if busy.class == ErrorClass::Transient => self.postpone(run, at, busy),
            Err(error) => run.refuse(at, error, now).map_err(corrupt),
        }
    }

    /// Waits, unless what it waits for came before.
    fn wait(
        &mut self,
        run: &mut Run,
        at: StepAt,
        builtin: Builtin,
        due: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        run.suspend(at, due).map_err(corrupt)?;
        match self.signals.remove(&run.step(at).key()) {
            Some(body) => self.go_on(run, at, builtin, &body),
            None => Ok(()),
        }
    }

    /// Calls another workflow: Ok(None) if the step waits for its end.
    async fn call(
        &mut self,
        run: &mut Run,
        at: StepAt,
        call: WorkflowCall,
    ) -> Result<Result<Option<Outcome>, StepError>, run::Illegal> {
        let Some(subscriber) = self.inner.ports.registry.workflow(self.row.tenant, &call.name)
        else {
            let message = format!("no workflow `{}`: apply it first", call.name);
            return Ok(Err(permanent("unknown-workflow", message)));
        };
        if self.row.depth >= MAX_CALL_DEPTH {
            let message = format!(
                "workflows call each other {MAX_CALL_DEPTH} deep (limit max_call_depth); do they \
                 call in a circle?"
            );
            return Ok(Err(permanent("calls-too-deep", message)));
        }
        let step = run.step(at);
        let (key, attempt) = (step.key(), step.attempt);
        let parent =
            call.wait.then(|| Parent { run: self.row.id, node: key.node.clone(), item: key.item });
        let inside = Inside {
            kind: "call",
            name: call.name,
            dedupe_key: starts::key_of(self.row.id, &key, attempt),
            trigger: call.input,
            subscribers: vec![subscriber],
            parent,
            depth: self.row.depth + 1,
            may_join: false,
        };
        let started = match self.start(inside).await {
            Ok(started) => started,
            Err(busy) => return Ok(Err(busy)),
        };
        let Some(child) = started.first().copied() else {
            return Ok(Err(permanent("unknown-workflow", "nothing was started".to_owned())));
        };
        if !call.wait {
            let output = json!({ "run": child }).into();
            return Ok(Ok(Some(Outcome { output, ports: Vec::new() })));
        }
        run.wait_for_run(at, child)?;
        Ok(Ok(None))
    }

    async fn publish(
        &mut self,
        run: &Run,
        at: StepAt,
        publication: Publication,
    ) -> Result<Option<Outcome>, StepError> {
        let Publication { event, data } = publication;
        if !is_event_name(&event) {
            let message = format!(
                "`{event}` is no name of an event: a past-tense fact with its version, such as \
                 `order.placed.v1`"
            );
            return Err(StepError::new(ErrorClass::InvalidInput, "bad-event-name", message));
        }
        if let Some(issue) = run.plan().events.first_issue(&event, &data) {
            let message = format!("the data breaks the schema of `{event}`: {issue}");
            return Err(StepError::new(ErrorClass::InvalidInput, "event-invalid", message));
        }
        let step = run.step(at);
        let inside = Inside {
            kind: "event",
            dedupe_key: starts::key_of(self.row.id, &step.key(), step.attempt),
            trigger: data,
            subscribers: self.inner.ports.registry.event(self.row.tenant, &event),
            name: event,
            parent: None,
            depth: 0,
            may_join: true,
        };
        let runs = self.start(inside).await?;
        let output = json!({ "runs": runs }).into();
        Ok(Some(Outcome { output, ports: Vec::new() }))
    }

    /// Lets an event go with the next settle, which is soon: others wait for it.
    async fn start(&mut self, inside: Inside) -> Result<Vec<RunId>, StepError> {
        let accept = starts::accept(&self.inner.ports, &self.row, inside, self.now()).await?;
        let runs = accept.runs.iter().map(|run| run.id).collect();
        self.owed.starts.push(accept);
        self.owing = true;
        Ok(runs)
    }

    /// The time that a step waited for has come.
    pub(crate) fn time_has_come(
        &mut self,
        run: &mut Run,
        at: StepAt,
        due: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(builtin) = run.node(at).builtin() else {
            return Err(StoreError::Corrupt(format!("`{}` waited for a time", run.node(at).name)));
        };
        run.resume(at, run::due(builtin, due), self.now()).map_err(corrupt)
    }

    /// Takes in what came from outside. What came too early is kept until its step waits.
    pub(crate) fn hear(&mut self, run: &mut Run, signals: Vec<Signal>) -> Result<(), StoreError> {
        for Signal { step, body, .. } in signals {
            let at = run.find(&step.node, step.item);
            let builtin = at.and_then(|at| run.node(at).builtin());
            match at.zip(builtin) {
                Some((at, builtin)) if run.step(at).state == StepState::Waiting => {
                    self.go_on(run, at, builtin, &body)?;
                }
                Some(_) => {
                    self.signals.insert(step, body);
                }
                None => tracing::warn!(node = %step.node, "a signal for no step of the run"),
            }
        }
        Ok(())
    }

    fn go_on(
        &mut self,
        run: &mut Run,
        at: StepAt,
        builtin: Builtin,
        body: &Json,
    ) -> Result<(), StoreError> {
        self.owed.used.push(run.step(at).key());
        let result = run::signalled(builtin, body).and_then(|outcome| {
            run.admit(outcome.output.text().len())?;
            Ok(outcome)
        });
        run.resume(at, result, self.now()).map_err(corrupt)
    }
}
