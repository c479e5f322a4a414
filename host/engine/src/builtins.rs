//! Built-in nodes on the desk: what they begin, and what lets them go on.

use serde_json::{Value, json};
use tombolo_core::clock::Timestamp;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::{EventId, RunId};
use tombolo_core::json::Json;
use tombolo_core::ports::intake::Subscriptions;
use tombolo_core::ports::sandbox::Outcome;
use tombolo_core::ports::store::{Parent, Signal, StoreError};
use tombolo_core::run::{
    self, Begun, MAX_CALL_DEPTH, MAX_EVENT_DEPTH, Publication, Run, StepAt, StepState, WorkflowCall,
};
use tombolo_core::workflow::{Builtin, is_event_name};

use crate::desk::Desk;
use crate::errors::{corrupt, permanent};
use crate::starts::{self, Inside, Origin};

/// What goes with the next settle.
struct Started {
    event: EventId,
    /// Without those that may turn out to be another run, which the store alone will know.
    runs: Vec<RunId>,
}

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
                "runs lead to each other {MAX_CALL_DEPTH} deep (limit max_call_depth); do \
                 workflows call in a circle?"
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
        let Some(child) = started.runs.first().copied() else {
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
        self.check_publication(run, &event, &data)?;
        let step = run.step(at);
        let inside = Inside {
            kind: "event",
            dedupe_key: starts::key_of(self.row.id, &step.key(), step.attempt),
            trigger: data,
            subscribers: self.inner.ports.registry.event(self.row.tenant, &event),
            name: event,
            parent: None,
            depth: self.row.depth + 1,
            may_join: true,
        };
        let Started { event, runs } = self.start(inside).await?;
        let output = json!({ "event": event, "runs": runs }).into();
        Ok(Some(Outcome { output, ports: Vec::new() }))
    }

    fn check_publication(&self, run: &Run, event: &str, data: &Value) -> Result<(), StepError> {
        if !is_event_name(event) {
            let message = format!(
                "`{event}` is no name of an event: a past-tense fact with its version, such as \
                 `order.placed.v1`"
            );
            return Err(StepError::new(ErrorClass::InvalidInput, "bad-event-name", message));
        }
        if self.row.depth >= MAX_EVENT_DEPTH {
            let message = format!(
                "runs lead to each other {MAX_EVENT_DEPTH} deep (limit max_event_depth); does a \
                 workflow listen to what it leads to?"
            );
            return Err(permanent("events-too-deep", message));
        }
        let live = self.inner.ports.registry.event_schema(self.row.tenant, event);
        let schemas = live.as_deref().unwrap_or(&run.plan().events);
        if let Some(issue) = schemas.first_issue(event, data) {
            let message = format!("the data breaks the schema of `{event}`: {issue}");
            return Err(StepError::new(ErrorClass::InvalidInput, "event-invalid", message));
        }
        Ok(())
    }

    /// Lets an event go with the next settle, which is soon: others wait for it.
    async fn start(&mut self, inside: Inside) -> Result<Started, StepError> {
        let origin = Origin { row: &self.row, payload: self.event.payload.value() };
        let accept = starts::accept(&self.inner.ports, origin, inside, self.now()).await?;
        let own = accept.runs.iter().filter(|run| !run.flow.may_join());
        let started = Started { event: accept.event.id, runs: own.map(|run| run.id).collect() };
        self.owed.starts.push(accept);
        self.owing = true;
        Ok(started)
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
