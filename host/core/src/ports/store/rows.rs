//! Runs, steps and events as the store has them.

use crate::clock::Timestamp;
use crate::error::{ErrorClass, StepError};
use crate::id::{ContentHash, EventId, RunId, TenantId, WorkflowId};
use crate::json::Json;
use crate::ports::sandbox::LogLine;
use crate::run::{RunState, StepState};

/// A run as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// Pinned.
    pub version: u32,
    /// What started it.
    pub event: EventId,
    /// The trigger's name.
    pub trigger: String,
    /// Where it stands.
    pub state: RunState,
    /// Follows the event to its last call.
    pub correlation_id: String,
    /// Why it failed.
    pub error: Option<StepError>,
    /// What it answers.
    pub output: Option<Json>,
    /// Somebody asked for its end.
    pub cancel_requested: bool,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
    /// When it is ended whatever it does.
    pub deadline: Option<Timestamp>,
    /// The step that waits for its end.
    pub parent: Option<Parent>,
    /// How many runs led to this one, by calling or by publishing.
    pub depth: u32,
    /// The run that it repeats.
    pub replay_of: Option<RunId>,
}

/// The step of another run that waits for the end of this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The run.
    pub run: RunId,
    /// Its node.
    pub node: String,
    /// Position of the item.
    pub item: u32,
}

/// An event as stored, as far as a run needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// Its id.
    pub id: EventId,
    /// `{"trigger": .., "event": ..}`.
    pub payload: Json,
}

/// A step as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRow {
    /// The node's name.
    pub node: String,
    /// 0 for the node itself; the items of a for-each node are counted from 1.
    pub item: u32,
    /// Where it stands.
    pub state: StepState,
    /// Attempts started, counted from 1; 0 before the first.
    pub attempt: u32,
    /// Attempts that count against the retry budget; a rate limit's wait does not.
    pub spent: u32,
    /// The node's `with`, resolved, of the latest attempt.
    pub input: Option<Json>,
    /// What it gave.
    pub output: Option<Json>,
    /// Ports that fired; none means the default port.
    pub ports: Vec<String>,
    /// Why the latest attempt failed.
    pub error: Option<StepError>,
    /// When a waiting step is due.
    pub due_at: Option<Timestamp>,
    /// When its first attempt started.
    pub started_at: Option<Timestamp>,
    /// When it came to an end state.
    pub ended_at: Option<Timestamp>,
    /// The component that ran the latest attempt.
    pub plugin: Option<ContentHash>,
    /// What the latest attempt wrote.
    pub logs: Vec<LogLine>,
    /// The run that it started and waits for.
    pub child: Option<RunId>,
    /// How often a person let it make its calls anew: part of its idempotency key.
    pub edits: u32,
    /// Attempts that it had made when a person last let it try again: they count against no bound.
    pub redriven_after: u32,
}

impl StepRow {
    /// A step that has not started.
    pub fn pending(node: &str, item: u32) -> Self {
        Self {
            node: node.to_owned(),
            item,
            state: StepState::Pending,
            attempt: 0,
            spent: 0,
            input: None,
            output: None,
            ports: Vec::new(),
            error: None,
            due_at: None,
            started_at: None,
            ended_at: None,
            plugin: None,
            logs: Vec::new(),
            child: None,
            edits: 0,
            redriven_after: 0,
        }
    }

    /// True if its credentials were refused, and it waits for others.
    pub fn waits_for_connection(&self) -> bool {
        self.state == StepState::Waiting
            && self.due_at.is_none()
            && self.error.as_ref().is_some_and(|error| error.class == ErrorClass::Auth)
    }

    /// Which step of its run it is.
    pub fn key(&self) -> StepKey {
        StepKey { node: self.node.clone(), item: self.item }
    }
}

/// Names a step in its run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepKey {
    /// The node's name.
    pub node: String,
    /// 0 for the node itself; items are counted from 1.
    pub item: u32,
}
