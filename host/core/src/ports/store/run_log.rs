//! The log of runs: accept, claim, barrier, settle.

use async_trait::async_trait;

use super::StoreError;
use super::flow::RunLimits;
use super::rows::{EventRow, Parent, RunRow, StepRow};
use super::settle::{Journaled, Settle};
use super::shares::Shares;
use super::signal::{Signal, Signalled};
use crate::audit::AuditEntry;
use crate::clock::Timestamp;
use crate::id::{EventId, RunId, TenantId, WorkflowId};
use crate::json::Json;
use crate::run::RunState;

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
    /// Increases with every claim, and is at least its time: the fence. A claim that was lost with a crash
    /// of the database, and may be taken anew from what was there before it, never has it again.
    pub epoch: i64,
}

/// An event to be stored, with the runs it starts.
#[derive(Debug, Clone)]
pub struct Accept {
    /// The event.
    pub event: NewEvent,
    /// One per subscribed workflow. None are started if the event is known already.
    pub runs: Vec<NewRun>,
    /// Who started them, if a person did. On record if the event is new.
    pub audit: Option<AuditEntry>,
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
    /// The step that waits for its end.
    pub parent: Option<Parent>,
    /// How many runs led to this one, by calling or by publishing.
    pub depth: u32,
    /// The run that it repeats.
    pub replay_of: Option<RunId>,
    /// Steps that are done already: computed before it is stored, or taken over from the run that it
    /// repeats. With a lease, also unsafe ones that are to be called once they are stored.
    pub steps: Vec<StepRow>,
    /// Set if nothing is left to do: it is stored as it has ended, and never queued.
    pub ended: Option<Ended>,
    /// What it has to wait for. A run with a lease, or that has ended, waits for nothing.
    pub flow: RunLimits,
}

/// How a run has ended that was computed before it was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// `succeeded`.
    pub state: RunState,
    /// What it answers.
    pub output: Option<Json>,
    /// When.
    pub at: Timestamp,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Stored, its runs started.
    New {
        /// The event.
        event: EventId,
        /// In the order given. A run that the event joined stands in the place of a new one.
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
    /// Which of those that are due.
    pub wanted: Wanted,
    /// Set where several tenants share the slots.
    pub turns: Option<Turns>,
}

/// How several tenants share the slots that a claim is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turns {
    /// No claim gives a tenant more than its share, and whoever has the fewest comes first.
    pub shares: Shares,
    /// Where more is due than a claim takes, it looks at some tenants' only: at those that come after
    /// this one, and this one. Another one each time, so that nobody is overlooked.
    pub first: TenantId,
}

/// Claims without progress after which a run may be what ended its workers.
pub const SUSPECT_CLAIMS: u32 = 2;

/// Which of the runs that are due a claim takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All, but of the suspects ([`SUSPECT_CLAIMS`]) so many at most, those with the fewest claims
    /// first: the fewer of them are under way together, the fewer are blamed for what one does.
    Due {
        /// So many.
        suspects: usize,
    },
    /// Runs that need no work, because somebody asked for their end or their time is up. They are
    /// looked for among the longest due.
    Ending,
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
    /// What came for its steps from outside and is not used yet.
    pub signals: Vec<Signal>,
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
        /// The rest, if the run's own row and its event are there.
        readable: Option<Box<ClaimedRun>>,
    },
}

impl Claimed {
    /// Whose it is.
    pub fn tenant(&self) -> TenantId {
        match self {
            Self::Run(claimed) => claimed.run.tenant,
            Self::Damaged { tenant, .. } => *tenant,
        }
    }

    /// Which run it is.
    pub fn run(&self) -> RunId {
        match self {
            Self::Run(claimed) => claimed.lease.run,
            Self::Damaged { lease, .. } => lease.run,
        }
    }
}

/// A request for one run, wherever it stands, to repair it.
#[derive(Debug, Clone)]
pub struct Open {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which run.
    pub run: RunId,
    /// Who asks.
    pub worker: WorkerId,
    /// A lease that has ended by then is nobody's.
    pub now: Timestamp,
    /// Until when the lease holds.
    pub until: Timestamp,
}

/// What a request for one run met.
#[derive(Debug, Clone)]
pub enum Opened {
    /// It is ours, `running` until the settle that follows; one that had ended stays as it ended until
    /// a settle parks it. Its state before is given.
    Run {
        /// The run.
        run: Box<ClaimedRun>,
        /// Where it stood.
        before: RunState,
    },
    /// Somebody works on it.
    Busy,
    /// No such run.
    Unknown,
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
    /// After a crash either all of the batch is there or none of it. Where one of its runs replaces
    /// another one, it is left open whether that reaches the runs of the batch which that one calls.
    async fn accept(&self, batch: Vec<Accept>) -> Result<Vec<Accepted>, StoreError>;

    /// Makes every leased run due now, and returns how many there were. Only for a process that
    /// knows itself to be the only one at this store: then every lease is a dead process's. If runs
    /// in the queue came after `now`, this is [`RunLog::set_back`], too.
    async fn take_over(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Makes up for a clock that jumped back from `from` to `now`: what was due is due, and waits
    /// that were counted from the old time (of throttles and debounces) are as long as before.
    /// Returns how many runs are due by that. Deadlines, retries and waits keep their times.
    async fn set_back(&self, from: Timestamp, now: Timestamp) -> Result<u64, StoreError>;

    /// Leases runs that are due: a higher `lease_epoch`, `claims + 1`, state `running`, available again
    /// when the lease ends. A run whose lease ended is due, so there is no reaper.
    ///
    /// Suspects come first, then the high priorities. A run that does not get back the places it gave up when it was
    /// parked is left out, as if it had not been due.
    ///
    /// Leases whose runs could not be looked at are given back before an error is returned.
    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError>;

    /// Leases one run whatever its state is, so that it can be repaired; one that has ended comes
    /// back into the queue, and into no lane. If nothing is settled under the lease, it is due again
    /// at its end; one that had ended leaves the queue then, as it ended.
    async fn open(&self, open: Open) -> Result<Opened, StoreError>;

    /// Keeps what came for a step from outside, until a settle says it was used. The first that
    /// came for a step stays. The run is due at once unless somebody works on it. Who sent it is on
    /// record if it is kept.
    async fn signal(
        &self,
        signal: Signal,
        audit: Option<AuditEntry>,
    ) -> Result<Signalled, StoreError>;

    /// What came for a run's steps and is not used yet.
    async fn signals(&self, tenant: TenantId, run: RunId) -> Result<Vec<Signal>, StoreError>;

    /// Moves the end of leases. Returns the runs whose lease is lost.
    async fn renew(&self, leases: &[Lease], until: Timestamp) -> Result<Vec<RunId>, StoreError>;

    /// Writes results if the lease is still the run's ([`StoreError::LeaseLost`] if not), and
    /// resets `claims`.
    async fn settle(&self, settle: Settle) -> Result<(), StoreError>;

    /// Records the wish to end a run and the runs it waits for, and makes them due before all others
    /// unless they are leased. Whose wish it is is on record if the run goes on.
    async fn request_cancel(
        &self,
        tenant: TenantId,
        run: RunId,
        audit: Option<AuditEntry>,
    ) -> Result<CancelRequest, StoreError>;

    /// Which of these runs go on and are to end, because somebody asked for it.
    async fn cancel_requested(&self, among: &[RunId]) -> Result<Vec<RunId>, StoreError>;

    /// Which of these runs go on, or are repaired, and have something that came for their steps and is
    /// not used yet.
    async fn signalled(&self, among: &[RunId]) -> Result<Vec<RunId>, StoreError>;

    /// When the next run in the queue is due (a leased one: when its lease ends). None if none is
    /// due by itself.
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
