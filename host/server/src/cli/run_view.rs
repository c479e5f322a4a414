//! Runs and steps as the API tells them, as far as people are shown them. Fields that are missing
//! read as absent, so that an older command line still shows what a newer server says.

use serde::Deserialize;
use serde_json::Value;
use tombolo_core::clock::Timestamp;

use super::terminal::Colour;

/// A run.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct RunView {
    pub(super) id: String,
    pub(super) workflow: String,
    pub(super) version: u32,
    pub(super) state: String,
    pub(super) trigger: Option<String>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) duration_ms: Option<u64>,
    pub(super) error: Option<ErrorView>,
    pub(super) output: Option<Value>,
    pub(super) steps: Vec<StepView>,
}

/// A step.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct StepView {
    pub(super) node: String,
    /// Position among the items of a for-each node; else 0.
    pub(super) item: u64,
    pub(super) state: String,
    pub(super) attempt: u32,
    pub(super) started_at: Option<Timestamp>,
    pub(super) duration_ms: Option<u64>,
    pub(super) due_at: Option<Timestamp>,
    pub(super) ports: Vec<String>,
    pub(super) error: Option<ErrorView>,
    pub(super) input: Option<Value>,
    pub(super) output: Option<Value>,
    pub(super) logs: Vec<LogView>,
    pub(super) calls: Vec<CallView>,
}

/// Why a run or step failed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct ErrorView {
    pub(super) code: String,
    pub(super) message: String,
}

/// A line that a plugin wrote.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct LogView {
    pub(super) level: String,
    pub(super) message: String,
}

/// A call to the outside.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct CallView {
    pub(super) attempt: u32,
    pub(super) started_at: Option<Timestamp>,
    pub(super) idempotency_key: Option<String>,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) status: Option<u16>,
    pub(super) error: Option<String>,
    pub(super) duration_ms: Option<u64>,
}

impl RunView {
    /// True if nothing changes any more.
    pub(super) fn ended(&self) -> bool {
        matches!(self.state.as_str(), "succeeded" | "failed" | "cancelled")
    }

    /// True if it came to a good end.
    pub(super) fn succeeded(&self) -> bool {
        self.state == "succeeded"
    }
}

/// The sign and the colour of a state of a run or step.
pub(super) fn sign(state: &str) -> (&'static str, Colour) {
    match state {
        "succeeded" => ("✓", Colour::Green),
        "failed" | "dead" => ("✗", Colour::Red),
        "unknown" => ("?", Colour::Red),
        "running" => ("●", Colour::Blue),
        "waiting" => ("◷", Colour::Yellow),
        "skipped" => ("–", Colour::Dim),
        "cancelled" => ("⊘", Colour::Yellow),
        // `queued`, `pending`, and whatever a newer server says.
        _ => ("○", Colour::Dim),
    }
}
