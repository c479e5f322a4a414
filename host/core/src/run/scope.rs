//! What the expressions of a node see: the event, the run, and the nodes upstream of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::model::{Run, StepAt};
use super::state::StepState;
use crate::error::StepError;
use crate::id::RunId;
use crate::json::Json;
use crate::workflow::{Needs, Scope};

/// The scope of one node in one run. Owns cheap clones, so that it can outlive a change of the run.
#[derive(Debug, Clone)]
pub struct RunScope {
    /// `{"trigger": .., "event": ..}`.
    payload: Json,
    /// `.run`.
    about: Value,
    /// `.steps`: outputs of the nodes upstream.
    steps: BTreeMap<String, Json>,
    /// `.errors`: of nodes upstream that are dead.
    errors: Map<String, Value>,
    /// `.callbacks`: addresses that let nodes of this run go on.
    callbacks: Map<String, Value>,
    /// Further fields: `.item` and `.index` of an item, `.error` and `.attempt` of a failure.
    more: Map<String, Value>,
}

/// What came in is written again without what came with it, up to so many bytes of both.
const WRITTEN_AGAIN_BYTES: usize = 16 * 1024;

const TRIGGER: &str = "trigger";
const EVENT: &str = "event";
const STEPS: &str = "steps";
const ERRORS: &str = "errors";
const RUN: &str = "run";
const CALLBACKS: &str = "callbacks";

impl RunScope {
    /// The scope of a step. `callbacks` are the addresses of its run's nodes by name.
    pub fn new(
        run: &Run,
        at: impl Into<StepAt>,
        id: RunId,
        payload: &Json,
        callbacks: Map<String, Value>,
    ) -> Self {
        let at = at.into();
        let mut steps = BTreeMap::new();
        let mut errors = Map::new();
        for upstream in &run.node(at).upstream {
            let step = run.step(*upstream);
            steps.insert(step.node.clone(), step.output.clone().unwrap_or_default());
            if let Some(error) = step.error.as_ref().filter(|_| step.state == StepState::Dead) {
                errors.insert(step.node.clone(), serde_json::to_value(error).unwrap_or_default());
            }
        }
        let about = json!({"id": id, "workflow": run.plan().name});
        let mut more = Map::new();
        if at.is_item() {
            let list = run.step(at.node).input.as_ref().map(Json::value);
            let index = usize::try_from(at.item - 1).unwrap_or(usize::MAX);
            more.insert(
                "item".to_owned(),
                list.map(|list| list[index].clone()).unwrap_or_default(),
            );
            more.insert("index".to_owned(), index.into());
        }
        Self { payload: payload.clone(), about, steps, errors, callbacks, more }
    }

    /// The same for the node's `retry.if`: with `.error` and `.attempt`.
    #[must_use]
    pub fn with_failure(mut self, error: &StepError, attempt: u32) -> Self {
        self.more.insert("error".to_owned(), serde_json::to_value(error).unwrap_or_default());
        self.more.insert("attempt".to_owned(), attempt.into());
        self
    }

    /// As much of the scope as is needed, as JSON text: put together from texts, so that nothing
    /// is parsed or written again.
    pub fn text(&self, needs: &Needs) -> String {
        let mut text = self.event_text(needs);
        if needs.field(RUN) {
            let _ = write!(text, ",\"{RUN}\":{}", self.about);
        }
        for (group, fields) in [(ERRORS, &self.errors), (CALLBACKS, &self.callbacks)] {
            if needs.field(group) {
                let _ = write!(text, ",\"{group}\":{}", Value::Object(fields.clone()));
            }
        }
        for (name, value) in self.more.iter().filter(|(name, _)| needs.field(name)) {
            let _ = write!(text, ",\"{name}\":{value}");
        }
        let _ = write!(text, ",\"{STEPS}\":{{");
        let mut comma = "";
        for (name, output) in self.steps.iter().filter(|(name, _)| needs.member(STEPS, name)) {
            let _ = write!(text, "{comma}\"{name}\":{}", output.text());
            comma = ",";
        }
        text.push_str("}}");
        text
    }

    /// The event as the beginning of an object.
    fn event_text(&self, needs: &Needs) -> String {
        // The payload is an object with fields, see `Arrival`.
        let whole = self.payload.text().trim_end().strip_suffix('}');
        let whole = whole.unwrap_or("{\"trigger\":null");
        let field = |name: &str| {
            let value = self.payload.value().get(name).unwrap_or(&Value::Null);
            format!("{{\"{name}\":{value}")
        };
        match (needs.field(TRIGGER), needs.field(EVENT)) {
            (true, true) => whole.to_owned(),
            // Copying a long one whole is faster than writing the most of it again.
            (true, false) if whole.len() > WRITTEN_AGAIN_BYTES => whole.to_owned(),
            (true, false) => field(TRIGGER),
            (false, true) => field(EVENT),
            (false, false) => format!("{{\"{TRIGGER}\":null"),
        }
    }
}

impl Scope for RunScope {
    fn field(&self, name: &str) -> Option<&Value> {
        match name {
            RUN => Some(&self.about),
            _ => self.more.get(name).or_else(|| self.payload.value().get(name)),
        }
    }

    fn member(&self, group: &str, name: &str) -> Option<&Value> {
        match group {
            STEPS => self.steps.get(name).map(Json::value),
            ERRORS => self.errors.get(name),
            CALLBACKS => self.callbacks.get(name),
            _ => None,
        }
    }

    fn member_text(&self, group: &str, name: &str) -> Option<&Json> {
        if group == STEPS { self.steps.get(name) } else { None }
    }

    fn is_group(&self, name: &str) -> bool {
        matches!(name, STEPS | ERRORS | CALLBACKS)
    }

    fn whole(&self) -> Value {
        serde_json::from_str(&self.text(&Needs::Everything)).unwrap_or_default()
    }
}
