//! The port of repair: what a person may do with runs and steps that do not go on.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::store::{Signalled, StepKey, StoreError};
use crate::audit::{Actor, AuditEntry};
use crate::clock::Timestamp;
use crate::id::{RunId, TenantId};
use crate::json::Json;
use crate::run::{CannotRepair, Explanation, From, NoSuchNode, Redrive, Repeat, RunState};

/// Who repairs, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// Why, in their words.
    pub reason: Option<String>,
    /// Of the request; None where there is none.
    pub correlation_id: Option<String>,
}

impl By {
    /// Somebody who gives no reason.
    pub fn new(actor: Actor) -> Self {
        Self { actor, reason: None, correlation_id: None }
    }

    /// What goes on record. A detail of nothing is the reason.
    pub fn entry(self, at: Timestamp, action: &str, subject: String, detail: Value) -> AuditEntry {
        let detail = match (detail, self.reason) {
            (Value::Null, Some(reason)) => json!({ "reason": reason }),
            (detail, _) => detail,
        };
        AuditEntry {
            at,
            actor: self.actor,
            action: action.to_owned(),
            subject,
            detail,
            correlation_id: self.correlation_id,
        }
    }
}

/// Why nothing was repaired. Nothing was written then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RepairError {
    /// The tenant has no such run.
    #[error("no run {0}")]
    UnknownRun(RunId),
    /// Somebody works on it.
    #[error("{0} is being worked on; try again when it waits or has ended")]
    Busy(RunId),
    /// The laws forbid it.
    #[error(transparent)]
    Cannot(#[from] CannotRepair),
    /// There is no such node to begin with.
    #[error(transparent)]
    NoSuchNode(#[from] NoSuchNode),
    /// The version cannot be run.
    #[error("{message}")]
    NoPlan {
        /// For programs.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// The run has to have ended first.
    #[error("the run is {}; cancel it first, or wait for its end", .0.name())]
    NotEnded(RunState),
    /// The node takes no signals.
    #[error("the node `{0}` waits for nobody: only `callback` and `approval` do")]
    TakesNoSignal(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A run that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redriven {
    /// The steps that try again.
    pub steps: Vec<StepKey>,
}

/// A replay to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayOrder {
    /// Whose run it is.
    pub tenant: TenantId,
    /// The run to repeat.
    pub run: RunId,
    /// Where it begins.
    pub from: From,
    /// On which version: None for the run's own.
    pub version: Option<VersionChoice>,
    /// Repeat effects although nobody knows whether they happened.
    pub repeat_unknown: bool,
    /// Makes two orders the same one.
    pub dedupe_key: Option<String>,
}

impl ReplayOrder {
    /// The source of the event that the new run has: a dedupe key holds within it.
    pub fn source(&self) -> String {
        format!("replay:{}", self.run)
    }
}

/// A version of the run's workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionChoice {
    /// The live one.
    Latest,
    /// This one.
    Number(u32),
}

/// What a replay will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayPlan {
    /// The version it runs.
    pub version: u32,
    /// Nodes whose results it takes over.
    pub takes_over: Vec<String>,
    /// Effects that happen again.
    pub repeats: Vec<Repeat>,
}

/// Repairs runs.
#[async_trait]
pub trait Repairs: Send + Sync {
    /// Lets the dead steps of a run try again.
    async fn redrive(
        &self,
        tenant: TenantId,
        run: RunId,
        redrive: Redrive,
        by: By,
    ) -> Result<Redriven, RepairError>;

    /// Says what a dead or unknown step gave: somebody has looked it up, or done its work.
    async fn resolve(
        &self,
        tenant: TenantId,
        run: RunId,
        step: StepKey,
        output: Json,
        by: By,
    ) -> Result<(), RepairError>;

    /// Gives a dead step up: it is no dead letter any more, and its run stays failed.
    async fn discard(
        &self,
        tenant: TenantId,
        run: RunId,
        step: StepKey,
        by: By,
    ) -> Result<(), RepairError>;

    /// What a replay would do.
    async fn plan_replay(&self, order: &ReplayOrder) -> Result<ReplayPlan, RepairError>;

    /// Starts a replay: a new run with the old one's input.
    async fn replay(&self, order: ReplayOrder, by: By) -> Result<(RunId, ReplayPlan), RepairError>;

    /// Why a run and its steps are where they are.
    async fn explain(&self, tenant: TenantId, run: RunId) -> Result<Explanation, RepairError>;

    /// Lets a `callback` or `approval` node go on. A decision is on record, what else is sent is not:
    /// only that it was.
    async fn signal(
        &self,
        tenant: TenantId,
        run: RunId,
        step: StepKey,
        body: Json,
        by: By,
    ) -> Result<Signalled, RepairError>;
}
