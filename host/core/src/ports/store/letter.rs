//! Dead letters: steps that wait for a person.

use async_trait::async_trait;

use super::StoreError;
use super::rows::StepKey;
use crate::audit::AuditEntry;
use crate::clock::Timestamp;
use crate::error::{ErrorClass, StepError};
use crate::id::{RunId, TenantId, WorkflowId};
use crate::run::StepState;

/// Dead letters that came or went with a settle.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Letters {
    /// New ones.
    pub opened: Vec<NewLetter>,
    /// Those that were redriven or resolved.
    pub closed: Vec<StepKey>,
}

impl Letters {
    /// True if there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.opened.is_empty() && self.closed.is_empty()
    }
}

/// A step that is dead or unknown, and whose failure nobody handles.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLetter {
    /// The step.
    pub step: StepKey,
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// `dead` or `unknown`.
    pub state: StepState,
    /// Why.
    pub error: StepError,
}

/// A dead letter as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepKey,
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// The workflow's name.
    pub workflow_name: String,
    /// `dead` or `unknown`.
    pub state: StepState,
    /// Why.
    pub error: StepError,
    /// Since when.
    pub since: Timestamp,
    /// When and why a person gave it up.
    pub discarded: Option<(Timestamp, String)>,
}

/// Which dead letters. Every field that is set narrows the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Of the workflow of this name.
    pub workflow: Option<String>,
    /// Of this run.
    pub run: Option<RunId>,
    /// Of the node of this name.
    pub node: Option<String>,
    /// With an error of this class.
    pub class: Option<ErrorClass>,
    /// With this error code.
    pub code: Option<String>,
    /// Dead since then or later.
    pub since: Option<Timestamp>,
    /// Dead before then.
    pub until: Option<Timestamp>,
    /// Those that were given up, instead of those that wait.
    pub discarded: bool,
}

/// Where a page of letters starts: after this one, going back in the order of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterCursor {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepKey,
}

/// Dead letters, and what becomes of them.
#[async_trait]
pub trait LetterBox: Send + Sync {
    /// Those of the newest runs first, at most `limit`.
    async fn letters(
        &self,
        tenant: TenantId,
        filter: &LetterFilter,
        after: Option<LetterCursor>,
        limit: u32,
    ) -> Result<Vec<Letter>, StoreError>;

    /// Gives one up, and puts that on record. False if there is no such letter that waits.
    async fn discard(
        &self,
        tenant: TenantId,
        run: RunId,
        step: &StepKey,
        reason: String,
        audit: AuditEntry,
    ) -> Result<bool, StoreError>;

    /// How many of a tenant wait for a person.
    async fn letter_count(&self, tenant: TenantId) -> Result<u64, StoreError>;
}
