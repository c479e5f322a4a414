//! How runs, steps and calls are shown.

use serde::Serialize;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, EventId, RunId};
use tombolo_core::json::Json;
use tombolo_core::ports::sandbox::LogLine;
use tombolo_core::ports::store::{Call, Parent, RunRow, RunView, StepRow};
use tombolo_core::run::{RunState, StepState};
use utoipa::ToSchema;

use super::call::CallItem;
use crate::routes::shapes::{Failure, run_state, step_state};

/// A run in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunItem {
    #[schema(value_type = String, example = "run_01980000000070008000000000000001")]
    id: RunId,
    /// The workflow's name.
    workflow: String,
    /// The version it is pinned to.
    version: u32,
    #[schema(schema_with = run_state)]
    state: RunState,
    /// The trigger's name; `api` for a start over HTTP.
    trigger: String,
    #[schema(value_type = String)]
    event: EventId,
    correlation_id: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// From the start to the end; null before it ended.
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    /// The step that called it and waits for its end; left out if none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<ParentShape>,
    /// How many runs led to this one by calling it.
    depth: u32,
    /// The run that it repeats; left out if it repeats none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    replay_of: Option<RunId>,
}

/// The step of another run that waits for the end of this one.
#[derive(Serialize, ToSchema)]
struct ParentShape {
    #[schema(value_type = String)]
    run: RunId,
    node: String,
    /// Position among the items of a for-each node; else 0.
    item: u32,
}

impl From<Parent> for ParentShape {
    fn from(parent: Parent) -> Self {
        Self { run: parent.run, node: parent.node, item: parent.item }
    }
}

/// A run with its steps.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunDetail {
    #[serde(flatten)]
    run: RunItem,
    /// What it answers; null before, and if it answers nothing.
    #[schema(value_type = Value)]
    output: Option<Json>,
    /// When it is ended whatever it does.
    #[schema(value_type = Option<String>, format = DateTime)]
    deadline: Option<Timestamp>,
    cancel_requested: bool,
    /// When the queue has it due; null once it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    available_at: Option<Timestamp>,
    /// Those that have started or were decided, in the order of their start.
    steps: Vec<StepItem>,
}

/// A step, without what it was given and gave.
#[derive(Serialize, ToSchema)]
pub(crate) struct StepItem {
    node: String,
    /// Position among the items of a for-each node; else 0.
    item: u32,
    #[schema(schema_with = step_state)]
    state: StepState,
    /// Attempts started.
    attempt: u32,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// From the first attempt's start to the end; null before it ended.
    duration_ms: Option<u64>,
    /// When a waiting step is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    /// Ports that fired; none means the default port.
    ports: Vec<String>,
    /// The component that ran the latest attempt.
    #[schema(value_type = Option<String>)]
    plugin: Option<ContentHash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    /// The run that it called and waits for; left out if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    child: Option<RunId>,
    /// How often a person let it make its calls anew.
    edits: u32,
}

/// A step with all that is on record.
#[derive(Serialize, ToSchema)]
pub(crate) struct StepDetail {
    #[serde(flatten)]
    step: StepItem,
    /// The node's `with`, resolved, of the latest attempt.
    #[schema(value_type = Value)]
    input: Option<Json>,
    #[schema(value_type = Value)]
    output: Option<Json>,
    /// What the latest attempt wrote.
    logs: Vec<LogItem>,
    /// Every call to the outside, by attempt and position; redacted.
    calls: Vec<CallItem>,
}

/// A line that a plugin wrote.
#[derive(Serialize, ToSchema)]
struct LogItem {
    /// `debug`, `info`, `warn`, `error`, `stdout`, `stderr`.
    level: String,
    message: String,
}

impl RunItem {
    pub fn of(run: RunRow, workflow: String) -> Self {
        Self {
            id: run.id,
            workflow,
            version: run.version,
            state: run.state,
            trigger: run.trigger,
            event: run.event,
            correlation_id: run.correlation_id,
            created_at: run.created_at,
            ended_at: run.ended_at,
            duration_ms: run.ended_at.map(|end| ms(run.created_at, end)),
            error: run.error.map(Failure::from),
            parent: run.parent.map(ParentShape::from),
            depth: run.depth,
            replay_of: run.replay_of,
        }
    }
}

impl From<RunView> for RunDetail {
    fn from(view: RunView) -> Self {
        let RunView { mut run, workflow_name, mut steps, available_at, .. } = view;
        steps.sort_by(by_start);
        Self {
            output: run.output.take(),
            deadline: run.deadline,
            cancel_requested: run.cancel_requested,
            available_at,
            steps: steps.into_iter().map(StepItem::from).collect(),
            run: RunItem::of(run, workflow_name),
        }
    }
}

impl From<StepRow> for StepItem {
    fn from(step: StepRow) -> Self {
        Self {
            node: step.node,
            item: step.item,
            state: step.state,
            attempt: step.attempt,
            started_at: step.started_at,
            ended_at: step.ended_at,
            duration_ms: step.started_at.zip(step.ended_at).map(|(start, end)| ms(start, end)),
            due_at: step.due_at,
            ports: step.ports,
            plugin: step.plugin,
            error: step.error.map(Failure::from),
            child: step.child,
            edits: step.edits,
        }
    }
}

impl StepDetail {
    /// The step with those of the run's calls that are its own.
    pub fn of(mut step: StepRow, calls: &[Call]) -> Self {
        let own = calls.iter().filter(|call| call.node == step.node && call.item == step.item);
        let calls = own.cloned().map(CallItem::from).collect();
        let log = |LogLine { level, message }| LogItem { level, message };
        Self {
            calls,
            input: step.input.take(),
            output: step.output.take(),
            logs: std::mem::take(&mut step.logs).into_iter().map(log).collect(),
            step: step.into(),
        }
    }
}

/// By their first attempt's start; those without one last, by when they were decided.
pub(super) fn by_start(a: &StepRow, b: &StepRow) -> std::cmp::Ordering {
    let key = |step: &StepRow| {
        (step.started_at.is_none(), step.started_at.or(step.ended_at), step.node.clone(), step.item)
    };
    key(a).cmp(&key(b))
}

fn ms(start: Timestamp, end: Timestamp) -> u64 {
    u64::try_from(end.since(start).as_millis()).unwrap_or(u64::MAX)
}
