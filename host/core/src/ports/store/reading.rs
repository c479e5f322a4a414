//! Reading what happened: runs, steps and calls, for people and applications.

use async_trait::async_trait;

use super::{Call, EventRow, RunRow, StepRow, StoreError};
use crate::audit::AuditEntry;
use crate::clock::Timestamp;
use crate::id::{EventId, RunId, TenantId};
use crate::json::Json;
use crate::run::RunState;

/// Which runs. Every field that is set narrows the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of the workflow of this name.
    pub workflow: Option<String>,
    /// In one of these states; empty means all.
    pub states: Vec<RunState>,
    /// Accepted at or after.
    pub since: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
    /// With this correlation id.
    pub correlation_id: Option<String>,
}

/// Where a page starts: after the run of this id, going back in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub RunId);

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// None for the newest.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: u32,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSummary {
    /// The run, without its output.
    pub run: RunRow,
    /// The workflow's name.
    pub workflow_name: String,
}

/// A run with all its steps.
#[derive(Debug, Clone, PartialEq)]
pub struct RunView {
    /// The run.
    pub run: RunRow,
    /// The workflow's name.
    pub workflow_name: String,
    /// What started it.
    pub event: EventRow,
    /// Its steps, in no order.
    pub steps: Vec<StepRow>,
    /// When the queue has it due, for a run that has not ended; None if it is not due by itself.
    pub available_at: Option<Timestamp>,
}

/// An event with what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct EventView {
    /// Its id.
    pub id: EventId,
    /// Where it came in.
    pub source: String,
    /// Its dedupe key.
    pub dedupe_key: String,
    /// What expressions see of it.
    pub payload: Json,
    /// When it came.
    pub received_at: Timestamp,
    /// The runs it started.
    pub runs: Vec<RunId>,
}

/// Questions about what happened. Served by readers beside the writer.
#[async_trait]
pub trait Reading: Send + Sync {
    /// The newest runs first. One more than `limit` is never returned; a full page may be the last.
    async fn runs(
        &self,
        tenant: TenantId,
        filter: &RunFilter,
        page: Page,
    ) -> Result<Vec<RunSummary>, StoreError>;

    /// One run with its steps.
    async fn run(&self, tenant: TenantId, run: RunId) -> Result<Option<RunView>, StoreError>;

    /// The calls of a run, by step, attempt and position.
    async fn calls(&self, tenant: TenantId, run: RunId) -> Result<Vec<Call>, StoreError>;

    /// One event.
    async fn event(
        &self,
        tenant: TenantId,
        event: EventId,
    ) -> Result<Option<EventView>, StoreError>;

    /// True if an event of this source has this dedupe key: another one would start nothing.
    async fn knows_event(
        &self,
        tenant: TenantId,
        source: &str,
        dedupe_key: &str,
    ) -> Result<bool, StoreError>;

    /// What people did, the newest first, at most `limit` entries. Each with its number, counted from
    /// 1 for each tenant; only those numbered below `before`, if given.
    async fn audit(
        &self,
        tenant: TenantId,
        limit: u32,
        before: Option<u64>,
    ) -> Result<Vec<(u64, AuditEntry)>, StoreError>;

    /// True if the database answers; for readiness.
    async fn ping(&self) -> Result<(), StoreError>;
}
