//! The port of authoring: checking workflow files and making them live.

use async_trait::async_trait;

use crate::error::StepError;
use crate::id::TenantId;
use crate::json::Json;
use crate::ports::repair::By;
use crate::ports::store::{Applied, StoreError};
use crate::workflow::Issue;

/// Why a file did not become a version.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AuthoringError {
    /// The file is wrong.
    #[error("the workflow file has {} issue(s)", .0.len())]
    Invalid(Vec<Issue>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The evaluator that checks expressions failed.
    #[error("the expressions could not be checked: {0}")]
    Evaluator(StepError),
}

/// Checks and applies workflow files.
#[async_trait]
pub trait Authoring: Send + Sync {
    /// Everything that is wrong with a file; empty if it can be applied.
    async fn validate(&self, tenant: TenantId, file: &Json) -> Result<Vec<Issue>, AuthoringError>;

    /// Checks a file, stores it as a version, and makes it the live one: when this returns, the
    /// next event runs it. Who does it is on record if it is a new version.
    async fn apply(&self, tenant: TenantId, file: Json, by: By) -> Result<Applied, AuthoringError>;
}

/// What the way in knows of webhook verification.
pub trait WebhookRules: Send + Sync {
    /// Names of the presets.
    fn presets(&self) -> Vec<&'static str>;

    /// What is wrong with a scheme that is written out: JSON pointer into it, and why.
    fn check_scheme(&self, scheme: &crate::workflow::VerifyScheme) -> Result<(), (String, String)>;
}
