//! Settle: what a run brought, in one write.

use std::collections::BTreeSet;

use super::letter::Letters;
use super::rows::{StepKey, StepRow};
use super::run_log::{Accept, Lease};
use super::signal::Signal;
use crate::audit::AuditEntry;
use crate::clock::Timestamp;
use crate::error::StepError;
use crate::id::{TenantId, WorkflowId};
use crate::json::Json;
use crate::ports::egress::CallRecord;
use crate::ports::journal::JournalEntry;
use crate::ports::sandbox::StateWrite;
use crate::run::RunState;

/// A call of a step, to be put on record.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The node's name.
    pub node: String,
    /// Position of the item.
    pub item: u32,
    /// Which attempt made it.
    pub attempt: u32,
    /// The call.
    pub record: CallRecord,
}

/// A call of a step, for a later attempt of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Journaled {
    /// The node's name.
    pub node: String,
    /// Position of the item.
    pub item: u32,
    /// The call and its answer.
    pub entry: JournalEntry,
}

/// A change of a node's state, committed with its step's result.
#[derive(Debug, Clone, PartialEq)]
pub struct StateChange {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Whose state it is.
    pub node: String,
    /// The write.
    pub write: StateWrite,
}

/// A connection whose credentials were refused: nobody calls through it until it is mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Its name.
    pub connection: String,
    /// What the other side said, for people.
    pub reason: String,
}

/// Results of a run, written in one transaction or not at all.
#[derive(Debug, Clone)]
pub struct Settle {
    /// The run's tenant.
    pub tenant: TenantId,
    /// The right to write.
    pub lease: Lease,
    /// Steps that changed, whole.
    pub steps: Vec<StepRow>,
    /// Calls made since the last settle.
    pub calls: Vec<Call>,
    /// Those of failed attempts that can change the other side.
    pub journal: Vec<Journaled>,
    /// State of nodes.
    pub state: Vec<StateChange>,
    /// Events that it publishes and runs that it starts, each once by its dedupe key. Where one of
    /// them replaces the run itself, it is left open whether that is before or after `next`.
    pub starts: Vec<Accept>,
    /// What a run's end tells the step that waits for it. If there is none, a run that failed tells
    /// its error.
    pub signal: Option<Signal>,
    /// Steps whose signals are used up.
    pub used: Vec<StepKey>,
    /// Steps whose journal goes: they have no later attempt, or their calls are made anew.
    pub forgets: Vec<StepKey>,
    /// Dead letters that came or went.
    pub letters: Letters,
    /// Connections whose credentials were refused.
    pub pauses: Vec<Pause>,
    /// What a person did.
    pub audit: Vec<AuditEntry>,
    /// A new deadline for the run.
    pub deadline: Option<Timestamp>,
    /// What becomes of the run.
    pub next: Next,
    /// Now.
    pub now: Timestamp,
}

/// What becomes of a run after a settle.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Still ours: a barrier before an unsafe effect, or a result that somebody waits for.
    Hold,
    /// Back into the queue, due at that time (at once if somebody asked for the run's end, or if a
    /// signal is there for a step that waits); the lease is given back.
    Park {
        /// `waiting` if it waits for a time, `queued` if it could go on at once.
        state: RunState,
        /// When to go on; None if only something from outside lets it go on.
        available_at: Option<Timestamp>,
        /// Paused connections that it waits for: due at once if one is not paused any more.
        connections: BTreeSet<String>,
    },
    /// Ended; the queue's row goes.
    End {
        /// `succeeded`, `failed` or `cancelled`.
        state: RunState,
        /// What it answers.
        output: Option<Json>,
        /// Why it failed.
        error: Option<StepError>,
    },
}

impl Settle {
    /// A settle that brings nothing but what becomes of the run.
    pub fn new(tenant: TenantId, lease: Lease, next: Next, now: Timestamp) -> Self {
        Self {
            tenant,
            lease,
            steps: Vec::new(),
            calls: Vec::new(),
            journal: Vec::new(),
            state: Vec::new(),
            starts: Vec::new(),
            signal: None,
            used: Vec::new(),
            forgets: Vec::new(),
            letters: Letters::default(),
            pauses: Vec::new(),
            audit: Vec::new(),
            deadline: None,
            next,
            now,
        }
    }
}
