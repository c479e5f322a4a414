//! A run as the API tells it, with what a test says it should be. What is not as said shows the
//! whole run.

use std::fmt;

use anyhow::{Context, ensure};
use serde_json::Value;

/// A run with all that is on record of its steps.
#[derive(Debug, Clone)]
pub struct RunView(pub Value);

/// A step with input, output, logs and calls.
#[derive(Debug, Clone, Copy)]
pub struct StepView<'a>(pub &'a Value);

impl RunView {
    /// Its id.
    pub fn id(&self) -> &str {
        self.0["id"].as_str().unwrap_or_default()
    }

    /// Its state.
    pub fn state(&self) -> &str {
        self.0["state"].as_str().unwrap_or_default()
    }

    /// True if nothing changes any more.
    pub fn ended(&self) -> bool {
        matches!(self.state(), "succeeded" | "failed" | "cancelled")
    }

    /// What it answers.
    pub fn output(&self) -> &Value {
        &self.0["output"]
    }

    /// All steps on record.
    pub fn steps(&self) -> impl Iterator<Item = StepView<'_>> {
        self.0["steps"].as_array().into_iter().flatten().map(StepView)
    }

    /// The step of a node.
    ///
    /// # Errors
    /// If it is not on record.
    pub fn step(&self, node: &str) -> anyhow::Result<StepView<'_>> {
        let found = self.steps().find(|step| step.0["node"] == node);
        found.with_context(|| format!("no step `{node}`\n{self}"))
    }

    /// The state of a node's step; `pending` if it is not on record.
    pub fn state_of(&self, node: &str) -> &str {
        let found = self.steps().find(|step| step.0["node"] == node);
        found.and_then(|step| step.0["state"].as_str()).unwrap_or("pending")
    }

    /// Checks the states of run and steps.
    ///
    /// # Errors
    /// If one of them is another.
    pub fn is(&self, state: &str, steps: &[(&str, &str)]) -> anyhow::Result<()> {
        ensure!(self.state() == state, "the run is not {state}\n{self}");
        for (node, state) in steps {
            ensure!(self.state_of(node) == *state, "`{node}` is not {state}\n{self}");
        }
        Ok(())
    }
}

impl<'a> StepView<'a> {
    /// Attempts started.
    pub fn attempts(self) -> u64 {
        self.0["attempt"].as_u64().unwrap_or_default()
    }

    /// Its output.
    pub fn output(self) -> &'a Value {
        &self.0["output"]
    }

    /// The code of its error; empty if it has none.
    pub fn error_code(self) -> &'a str {
        self.0["error"]["code"].as_str().unwrap_or_default()
    }

    /// The class of its error; empty if it has none.
    pub fn error_class(self) -> &'a str {
        self.0["error"]["class"].as_str().unwrap_or_default()
    }

    /// What its error says.
    pub fn error_message(self) -> &'a str {
        self.0["error"]["message"].as_str().unwrap_or_default()
    }

    /// Calls to the outside, by attempt and position.
    pub fn calls(self) -> &'a [Value] {
        self.0["calls"].as_array().map(Vec::as_slice).unwrap_or_default()
    }
}

impl fmt::Display for RunView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}: {}", self.id(), self.0["workflow"], self.state())?;
        if !self.0["error"].is_null() {
            writeln!(f, "  error {}", self.0["error"])?;
        }
        for StepView(step) in self.steps() {
            let (node, state) = (&step["node"], &step["state"]);
            writeln!(f, "  {node} {state} attempt {} due {}", step["attempt"], step["due_at"])?;
            if !step["error"].is_null() {
                writeln!(f, "    error {}", step["error"])?;
            }
            for call in step["calls"].as_array().into_iter().flatten() {
                let (method, url) = (&call["method"], &call["url"]);
                let end = if call["status"].is_null() { &call["error"] } else { &call["status"] };
                writeln!(f, "    call {} {method} {url}: {end}", call["attempt"])?;
            }
        }
        Ok(())
    }
}
