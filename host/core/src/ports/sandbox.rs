//! The port of the sandbox: where plugins and expressions run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::descriptor::Descriptor;
use crate::error::{ErrorClass, StepError};
use crate::id::{ContentHash, TenantId, WorkflowId};
use crate::json::Json;
use crate::ports::egress::{CallRecord, Caller, Connection};
use crate::ports::journal::JournalEntry;

/// One call of an operation.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Which component.
    pub plugin: ContentHash,
    /// Which of its operations.
    pub operation: String,
    /// The node's `with`, all expressions resolved.
    pub params: Json,
    /// On whose behalf.
    pub caller: Arc<Caller>,
    /// The version of the workflow; warm instances are kept per version.
    pub version: u32,
    /// The node's connection.
    pub connection: Option<Arc<Connection>>,
    /// The frozen clock of pure worlds.
    pub started_at: Timestamp,
    /// The wall-clock time the attempt may take.
    pub timeout: Duration,
    /// When the host will end the attempt, told to the plugin.
    pub deadline: Timestamp,
    /// State of the node that was committed before this attempt.
    pub state: Arc<dyn StateReader>,
    /// Calls of earlier attempts whose answers this one is given instead of calling again.
    pub journal: Arc<[JournalEntry]>,
    /// Ends the attempt before it is done. What it has called by then is told all the same.
    pub interrupt: Arc<dyn Interrupt>,
}

/// Tells an attempt that it has to end at once: its run ends, or its host does.
#[async_trait]
pub trait Interrupt: Send + Sync + std::fmt::Debug {
    /// Comes back when the attempt has to end.
    async fn interrupted(&self);
}

/// For attempts that nobody ends early.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uninterrupted;

#[async_trait]
impl Interrupt for Uninterrupted {
    async fn interrupted(&self) {
        std::future::pending().await
    }
}

/// The code of an attempt that was interrupted.
pub const INTERRUPTED: &str = "interrupted";

/// The code of an attempt that has not begun, because no instance was free for too long; its class
/// is `transient`.
pub const SANDBOX_BUSY: &str = "sandbox-busy";

/// Reads the committed state of one node of one workflow.
#[async_trait]
pub trait StateReader: Send + Sync + std::fmt::Debug {
    /// The entry's value and version.
    async fn get(&self, key: &str) -> Result<Option<(Json, u64)>, StateUnavailable>;
}

/// The store did not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the state store did not answer: {0}")]
pub struct StateUnavailable(pub String);

/// A write to be committed with the step's result.
#[derive(Debug, Clone, PartialEq)]
pub struct StateWrite {
    /// The key.
    pub key: String,
    /// The version it must still have; 0 for "no entry".
    pub expected: u64,
    /// The new value.
    pub value: Json,
}

/// A line that a plugin wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// `debug`, `info`, `warn`, `error`; `stdout` and `stderr` for what was printed.
    pub level: String,
    /// The line.
    pub message: String,
}

/// What came of an invocation. Logs and calls are there for failures, too.
#[derive(Debug, Clone)]
pub struct Invoked {
    /// Output and ports, or why not.
    pub result: Result<Outcome, StepError>,
    /// Bounded.
    pub logs: Vec<LogLine>,
    /// Every call that was attempted, in order.
    pub calls: Vec<CallRecord>,
    /// Committed with a successful result, or not at all.
    pub state: Vec<StateWrite>,
    /// Calls that are not to be made again, should the step need another attempt.
    pub journal: Vec<JournalEntry>,
}

/// A finished operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// One JSON value.
    pub output: Json,
    /// Ports that fire; none means the default port.
    pub ports: Vec<String>,
}

/// Expressions to be evaluated together against one scope.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Whose they are: an evaluator's instance never crosses tenants.
    pub tenant: TenantId,
    /// The workflow and version whose expressions these are.
    pub workflow: WorkflowId,
    /// The version.
    pub version: u32,
    /// The scope: `{"trigger": .., "steps": {..}, ..}` as JSON text.
    pub scope: String,
    /// jq, without `${` and `}`.
    pub expressions: Vec<String>,
    /// The evaluator's frozen clock.
    pub now: Timestamp,
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// Which expression of the batch.
    pub index: usize,
    /// What to do about it: `invalid-input` where the expression is at fault, `transient` where the
    /// evaluator could not be asked.
    pub class: ErrorClass,
    /// `expression-failed`, `expression-empty`, `expression-many`, `expression-limit`, ..
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// Byte offset in the expression's text, where known.
    pub position: Option<usize>,
}

/// Why a component is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// Larger than the limit.
    #[error("the component has {size} bytes, the limit is {limit} (limit max_component_bytes)")]
    TooLarge {
        /// Bytes.
        size: usize,
        /// Bytes.
        limit: usize,
    },
    /// A core module, not a component.
    #[error(
        "this is a core WebAssembly module; build it for wasm32-wasip2, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// Not WebAssembly at all, or cut off.
    #[error("not a valid WebAssembly component: {reason}")]
    Malformed {
        /// What the validator says.
        reason: String,
    },
    /// Does not export what a plugin has to.
    #[error("the component exports no `{expected}`; it exports {found}")]
    NotAPlugin {
        /// The interface this host looks for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Made for a contract that this host does not speak.
    #[error(
        "the component is made for contract {found}, this host speaks {supported}; update Tombolo, or build with an older SDK"
    )]
    NewerContract {
        /// What the component asks for.
        found: String,
        /// What the host has.
        supported: String,
    },
    /// Imports what its world does not allow.
    #[error("import `{import}` is outside world `{world}`: {hint}")]
    ForbiddenImport {
        /// Its full name.
        import: String,
        /// The declared world.
        world: String,
        /// What to do.
        hint: String,
    },
    /// `describe` failed.
    #[error("`describe` failed: {reason}")]
    DescribeFailed {
        /// Why.
        reason: String,
    },
    /// `describe` answered something this host does not accept.
    #[error("the descriptor is not acceptable: {pointer}: {reason}")]
    BadDescriptor {
        /// JSON pointer into the descriptor.
        pointer: String,
        /// What is wrong there.
        reason: String,
    },
    /// Compilation took longer, or more memory, than allowed.
    #[error("the component could not be compiled: {reason}")]
    CompileFailed {
        /// Why.
        reason: String,
    },
}

impl InstallError {
    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "component-too-large",
            Self::CoreModule => "core-module",
            Self::Malformed { .. } => "malformed-component",
            Self::NotAPlugin { .. } => "not-a-plugin",
            Self::NewerContract { .. } => "newer-contract",
            Self::ForbiddenImport { .. } => "forbidden-import",
            Self::DescribeFailed { .. } => "describe-failed",
            Self::BadDescriptor { .. } => "bad-descriptor",
            Self::CompileFailed { .. } => "compile-failed",
        }
    }
}

/// A component that was checked, compiled and cached.
#[derive(Debug, Clone, PartialEq)]
pub struct Installed {
    /// Its identity.
    pub hash: ContentHash,
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// The full names of what it imports.
    pub imports: Vec<String>,
}

/// Where a component's bytes come from when its compiled form is not cached.
#[async_trait]
pub trait ComponentSource: Send + Sync {
    /// The bytes, or None if there is no such component.
    async fn component(&self, hash: ContentHash) -> Result<Option<Bytes>, String>;
}

/// Runs what is not trusted.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// Checks, compiles (off the request path, one at a time) and describes a component.
    async fn install(&self, bytes: Bytes) -> Result<Installed, InstallError>;

    /// Runs one operation in an instance of its own, within limits.
    async fn invoke(&self, invocation: Invocation) -> Invoked;

    /// Evaluates expressions, all or none.
    async fn evaluate(&self, evaluation: Evaluation) -> Result<Vec<Json>, ExpressionError>;

    /// Checks the syntax of expressions without evaluating them.
    async fn check(&self, expressions: Vec<String>) -> Result<Vec<ExpressionError>, StepError>;
}
