//! What the expressions of a node see: the event, the run, and the nodes upstream of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::model::Run;
use super::state::StepState;
use crate::id::RunId;
use crate::json::Json;
use crate::workflow::{NodeIndex, Scope};

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
}

const STEPS: &str = "steps";
const ERRORS: &str = "errors";
const RUN: &str = "run";

impl RunScope {
    /// The scope of the node at that position.
    pub fn new(run: &Run, node: NodeIndex, id: RunId, payload: &Json) -> Self {
        let mut steps = BTreeMap::new();
        let mut errors = Map::new();
        for at in &run.node(node).upstream {
            let step = run.step(*at);
            steps.insert(step.node.clone(), step.output.clone().unwrap_or_default());
            if let Some(error) = step.error.as_ref().filter(|_| step.state == StepState::Dead) {
                errors.insert(step.node.clone(), serde_json::to_value(error).unwrap_or_default());
            }
        }
        let about = json!({"id": id, "workflow": run.plan().name});
        Self { payload: payload.clone(), about, steps, errors }
    }

    /// The scope as JSON text, put together from texts: nothing is parsed or written again.
    pub fn text(&self) -> String {
        // The payload is an object with fields, see `Arrival`.
        let mut text = self
            .payload
            .text()
            .trim_end()
            .strip_suffix('}')
            .unwrap_or("{\"trigger\":null")
            .to_owned();
        let errors = Value::Object(self.errors.clone());
        let _ = write!(text, ",\"{RUN}\":{},\"{ERRORS}\":{errors},\"{STEPS}\":{{", self.about);
        let mut comma = "";
        for (name, output) in &self.steps {
            let _ = write!(text, "{comma}\"{name}\":{}", output.text());
            comma = ",";
        }
        text.push_str("}}");
        text
    }
}

impl Scope for RunScope {
    fn field(&self, name: &str) -> Option<&Value> {
        if name == RUN { Some(&self.about) } else { self.payload.value().get(name) }
    }

    fn member(&self, group: &str, name: &str) -> Option<&Value> {
        match group {
            STEPS => self.steps.get(name).map(Json::value),
            ERRORS => self.errors.get(name),
            _ => None,
        }
    }

    fn is_group(&self, name: &str) -> bool {
        name == STEPS || name == ERRORS
    }

    fn whole(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap_or_default()
    }
}
