//! The port of the way in: what webhooks and the HTTP API hand over, and what they wait for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::id::{EventId, RunId, TenantId, WorkflowId};
use crate::json::Json;
use crate::ports::repair::By;
use crate::ports::store::{Accepted, CancelRequest, StoreError};
use crate::run::{RunState, StepState};
use crate::workflow::LimitRules;

/// An event on its way in, with the workflows that take it.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Whose it is.
    pub tenant: TenantId,
    /// `hook:<path>`, `api:<workflow>`, `event:<name>`, `failure:<workflow>`, `call:<workflow>` or
    /// `replay:<run>`.
    pub source: String,
    /// Unique per tenant and source.
    pub dedupe_key: String,
    /// See [`crate::ports::store::NewEvent::fingerprint`].
    pub fingerprint: Option<[u8; 32]>,
    /// What expressions see as `.trigger`.
    pub trigger: Value,
    /// What expressions see as `.event`: `{"trigger", "headers", "query", ..}`; the intake adds
    /// `id` and `received_at`.
    pub event: serde_json::Map<String, Value>,
    /// Follows the event to its last call.
    pub correlation_id: String,
    /// Who runs: workflow, pinned version, and the trigger's name.
    pub subscribers: Vec<Subscriber>,
    /// Who sends it, if a person does: it is on record then.
    pub by: Option<By>,
}

/// A workflow that takes an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscriber {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Its live version.
    pub version: u32,
    /// The trigger's name in it.
    pub trigger: String,
    /// How long a run of it may take.
    pub timeout: Option<Duration>,
    /// Its limits, with expressions; None if it has none.
    pub limits: Option<Arc<LimitRules>>,
}

/// What a waiting caller learns of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The run ended, or answered through a `respond` node; durable before it is told.
    Ready {
        /// HTTP status from 200 to 599: the `respond` node's, else 200, or 500 if the run did not
        /// succeed.
        status: u16,
        /// Extra headers of the `respond` node; none that belong to the connection.
        headers: Vec<(String, String)>,
        /// The body.
        body: Json,
        /// Where the run stands.
        state: RunState,
    },
    /// Not within the time given; the run goes on.
    NotYet,
}

/// Something that a follower of a run is told, after it is durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Whose run it is.
    pub tenant: TenantId,
    /// Which run.
    pub run: RunId,
    /// What changed.
    pub change: Change,
    /// When.
    pub at: Timestamp,
}

/// A durable change of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A step came to another state.
    Step {
        /// The node's name.
        node: String,
        /// Position of the item.
        item: u32,
        /// Where it stands now.
        state: StepState,
        /// Attempts started.
        attempt: u32,
    },
    /// The run came to another state.
    Run {
        /// Where it stands now.
        state: RunState,
    },
}

/// A source of [`Progress`]. Dropping it ends the interest.
#[async_trait]
pub trait Follow: Send {
    /// The next change; None when the follower fell behind so far that changes are lost (read the
    /// run again), or when the process stops.
    async fn next(&mut self) -> Option<Progress>;
}

/// Takes events in, and answers for their runs.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Makes a batch of arrivals durable in one write, and lets their runs start. A key that is
    /// known already gives the first one's runs.
    async fn accept(&self, arrivals: Vec<Arrival>) -> Result<Vec<Accepted>, StoreError>;

    /// Like [`Intake::accept`] for one arrival with one subscriber, and waits for the answer.
    async fn accept_and_wait(
        &self,
        arrival: Arrival,
        patience: Duration,
    ) -> Result<(Accepted, Answer), StoreError>;

    /// Waits until the run answers or ends.
    async fn wait(
        &self,
        tenant: TenantId,
        run: RunId,
        patience: Duration,
    ) -> Result<Answer, StoreError>;

    /// Asks for the end of a run. Who does is on record if the run goes on.
    async fn cancel(
        &self,
        tenant: TenantId,
        run: RunId,
        by: By,
    ) -> Result<CancelRequest, StoreError>;

    /// Follows a run's changes from now on. Subscribe first, read the run after: nothing is missed.
    fn follow(&self, tenant: TenantId, run: RunId) -> Box<dyn Follow>;
}

/// What the server keeps in memory of the live workflows.
pub trait Subscriptions: Send + Sync {
    /// The webhook trigger at that path of that tenant.
    fn hook(&self, tenant: TenantId, path: &str) -> Option<Arc<Hook>>;

    /// The live version of a workflow, for a start over HTTP.
    fn workflow(&self, tenant: TenantId, name: &str) -> Option<Subscriber>;

    /// Who takes an internal event of that name.
    fn event(&self, tenant: TenantId, name: &str) -> Vec<Subscriber>;

    /// Who takes the failure of a run of that workflow.
    fn failure(&self, tenant: TenantId, workflow: &str) -> Vec<Subscriber>;
}

/// A webhook path with those who listen at it.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Whose it is.
    pub tenant: TenantId,
    /// `hubspot/deals`.
    pub path: String,
    /// How to verify, split, dedupe and answer. Workflows that share a path must agree on it.
    pub webhook: Arc<crate::workflow::Webhook>,
    /// The workflow and version whose expressions `split` and `dedupe` are.
    pub owner: (WorkflowId, u32),
    /// Every workflow that listens at it.
    pub subscribers: Vec<Subscriber>,
}

/// The id of an event that was accepted, new or known.
impl Accepted {
    /// The event.
    pub fn event(&self) -> EventId {
        match self {
            Self::New { event, .. } | Self::Duplicate { event, .. } => *event,
        }
    }

    /// Its runs.
    pub fn runs(&self) -> &[RunId] {
        match self {
            Self::New { runs, .. } | Self::Duplicate { runs, .. } => runs,
        }
    }
}
