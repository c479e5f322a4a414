//! What the expressions of a node see: the event, the run, and the nodes upstream of it.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::model::Run;
use super::state::StepState;
use crate::id::RunId;
use crate::json::Json;
use crate::workflow::{NodeIndex, Parameters, Scope};

/// The scope of one node in one run.
pub struct RunScope<'a> {
    run: &'a Run,
    node: NodeIndex,
    /// `{"trigger": .., "event": ..}`.
    payload: &'a Json,
    /// `.run`.
    about: Value,
    /// Errors as values, so that a path can lead into them.
    errors: Map<String, Value>,
}

const STEPS: &str = "steps";
const ERRORS: &str = "errors";
const RUN: &str = "run";

impl<'a> RunScope<'a> {
    /// The scope of `node`.
    pub fn new(run: &'a Run, node: NodeIndex, id: RunId, payload: &'a Json) -> Self {
        let about = json!({"id": id, "workflow": run.plan().name});
        let errors = run
            .node(node)
            .upstream
            .iter()
            .filter_map(|at| {
                let step = run.step(*at);
                let error = step
                    .error
                    .as_ref()
                    .filter(|_| step.state == StepState::Dead)?;
                Some((
                    step.node.clone(),
                    serde_json::to_value(error).unwrap_or_default(),
                ))
            })
            .collect();
        Self {
            run,
            node,
            payload,
            about,
            errors,
        }
    }

    /// The scope as JSON text, put together from texts: nothing is parsed or written again.
    pub fn text(&self) -> String {
        let mut text = self
            .payload
            .text()
            .trim_end()
            .strip_suffix('}')
            .unwrap_or("{")
            .to_owned();
        // The payload always has fields; see `Arrival`.
        let _ = write!(
            text,
            ",\"run\":{},\"errors\":{},\"steps\":{{",
            self.about,
            Value::Object(self.errors.clone())
        );
        let mut comma = "";
        for at in &self.run.node(self.node).upstream {
            let step = self.run.step(*at);
            let output = step.output.as_ref().map_or("null", Json::text);
            let _ = write!(text, "{comma}\"{}\":{output}", step.node);
            comma = ",";
        }
        text.push_str("}}");
        text
    }

    /// The jq texts of a node's parameters, with their numbers.
    pub fn jq(parameters: &Parameters) -> (Vec<usize>, Vec<String>) {
        parameters
            .jq()
            .map(|(number, text)| (number, text.to_owned()))
            .unzip()
    }

    fn upstream(&self, name: &str) -> Option<NodeIndex> {
        let at = *self.run.plan().index.get(name)?;
        self.run
            .node(self.node)
            .upstream
            .contains(&at)
            .then_some(at)
    }
}

impl Scope for RunScope<'_> {
    fn field(&self, name: &str) -> Option<&Value> {
        if name == RUN {
            Some(&self.about)
        } else {
            self.payload.value().get(name)
        }
    }

    fn member(&self, group: &str, name: &str) -> Option<&Value> {
        match group {
            STEPS => self
                .run
                .step(self.upstream(name)?)
                .output
                .as_ref()
                .map(Json::value),
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
