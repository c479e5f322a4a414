//! The log of runs: accept, claim, barrier, settle.

use async_trait::async_trait;

use super::StoreError;
use crate::clock::Timestamp;
use crate::error::StepError;
use crate::id::{ContentHash, EventId, RunId, TenantId, WorkflowId};
use crate::json::Json;
use crate::ports::egress::CallRecord;
use crate::ports::journal::JournalEntry;
use crate::ports::sandbox::{LogLine, StateWrite};
use crate::run::{RunState, StepState};

/// The name of a process that claims runs; unique per start.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkerId(pub String);

/// The right to write a run. Every write after the claim carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Which run.
    pub run: RunId,
    /// Who holds it.
    pub owner: WorkerId,
    /// Increases with every claim: the fence.
    pub epoch: i64,
}

/// An event to be stored, with the runs it starts.
#[derive(Debug, Clone)]
pub struct Accept {
    /// The event.
    pub event: NewEvent,
    /// One per subscribed workflow. None are started if the event is known already.
    pub runs: Vec<NewRun>,
}

/// What came in.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its id, if it is new.
    pub id: EventId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it came in: `hook:hubspot/deals`, `api:deal-won-to-project`. Dedupe keys are unique
    /// per tenant and source.
    pub source: String,
    /// The provider's event id, the caller's idempotency key, or a hash of the body.
    pub dedupe_key: String,
    /// SHA-256 of what must not differ between two events of the same key, where that matters.
    pub fingerprint: Option<[u8; 32]>,
    /// `{"trigger": .., "event": ..}`: what expressions see of it.
    pub payload: Json,
    /// Follows the event to its last call.
    pub correlation_id: String,
    /// When it came.
    pub received_at: Timestamp,
}

/// A run to be started.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// Pinned.
    pub version: u32,
    /// The trigger's name in the workflow; `api` for a start over HTTP.
    pub trigger: String,
    /// When the run is ended whatever it does.
    pub deadline: Option<Timestamp>,
    /// Set if the accepting process runs it itself: accept and claim are one write. The lease has
    /// epoch 1. Otherwise the run is queued and due at once.
    pub lease: Option<(WorkerId, Timestamp)>,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Stored, its runs started.
    New {
        /// The event.
        event: EventId,
        /// In the order given.
        runs: Vec<RunId>,
    },
    /// Known already; nothing was written.
    Duplicate {
        /// The first one.
        event: EventId,
        /// The first one's runs.
        runs: Vec<RunId>,
        /// The first one's.
        fingerprint: Option<[u8; 32]>,
    },
}

/// A request for runs to work on.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Who asks.
    pub worker: WorkerId,
    /// At most so many.
    pub limit: usize,
    /// What is due at this time.
    pub now: Timestamp,
    /// Until when the lease holds, unless renewed.
    pub until: Timestamp,
    /// Runs that this process works on: not to be claimed, even if their leases ran out.
    pub held: Vec<RunId>,
}

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
}

/// An event as stored, as far as a run needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// Its id.
    pub id: EventId,
    /// `{"trigger": .., "event": ..}`.
    pub payload: Json,
}

/// A run that is ours for the time of the lease, with all that is known of it.
#[derive(Debug, Clone)]
pub struct ClaimedRun {
    /// The run, `running` from now on.
    pub run: RunRow,
    /// What started it.
    pub event: EventRow,
    /// Steps stored so far, in no order.
    pub steps: Vec<StepRow>,
    /// Journals of its steps, each in the order of its calls.
    pub journal: Vec<Journaled>,
    /// The right to write it.
    pub lease: Lease,
    /// How often it was claimed since its last settle; the bound on runs that kill their worker.
    pub claims: u32,
}

/// What a claim brings.
#[derive(Debug, Clone)]
pub enum Claimed {
    /// A run to work on.
    Run(Box<ClaimedRun>),
    /// A run whose rows cannot be read; it is leased, too, so that it can be ended.
    Damaged {
        /// Whose it is.
        tenant: TenantId,
        /// The right to write it.
        lease: Lease,
        /// What cannot be read.
        reason: String,
    },
}

/// A step as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRow {
    /// The node's name.
    pub node: String,
    /// Position of the item; 0 for a node that is no for-each.
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
}

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

/// A call of a step that a later attempt is not to make again.
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
    /// Those of failed attempts that are not to be made again.
    pub journal: Vec<Journaled>,
    /// State of nodes.
    pub state: Vec<StateChange>,
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
    /// Back into the queue, due at that time (at once if somebody asked for the run's end); the lease
    /// is given back.
    Park {
        /// `waiting` if it waits for a time, `queued` if it could go on at once.
        state: RunState,
        /// When to go on.
        available_at: Timestamp,
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

/// What a request to cancel met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelRequest {
    /// No such run.
    Unknown,
    /// It had ended before.
    Ended(RunState),
    /// On record; whoever holds the run, or claims it next, ends it.
    Requested,
}

/// The writes of the engine's laws, in the order of design: accept, claim, barrier, settle.
#[async_trait]
pub trait RunLog: Send + Sync {
    /// Stores events with their runs, all in one transaction, each event once.
    ///
    /// After a crash either all of the batch is there or none of it.
    async fn accept(&self, batch: Vec<Accept>) -> Result<Vec<Accepted>, StoreError>;

    /// Makes every leased run due now, and returns how many there were. Only for a process that
    /// knows itself to be the only one at this store: then every lease is a dead process's.
    async fn take_over(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Leases runs that are due: `lease_epoch + 1`, `claims + 1`, state `running`, available again
    /// when the lease ends. A run whose lease ended is due, so there is no reaper.
    ///
    /// Leases whose runs could not be looked at are given back before an error is returned.
    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError>;

    /// Moves the end of leases. Returns the runs whose lease is lost.
    async fn renew(&self, leases: &[Lease], until: Timestamp) -> Result<Vec<RunId>, StoreError>;

    /// Writes results if the lease is still the run's ([`StoreError::LeaseLost`] if not), and
    /// resets `claims`.
    async fn settle(&self, settle: Settle) -> Result<(), StoreError>;

    /// Records the wish to end a run, and makes it due at once unless it is leased.
    async fn request_cancel(
        &self,
        tenant: TenantId,
        run: RunId,
        now: Timestamp,
    ) -> Result<CancelRequest, StoreError>;

    /// When the next run in the queue is due (a leased one: when its lease ends).
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// The committed state of a node: value and version.
    async fn node_state(
        &self,
        tenant: TenantId,
        workflow: WorkflowId,
        node: &str,
        key: &str,
    ) -> Result<Option<(Json, u64)>, StoreError>;
}
