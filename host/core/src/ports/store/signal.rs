//! What comes for a step from outside its run: a callback, a decision, the end of a run it called.

use crate::clock::Timestamp;
use crate::id::{RunId, TenantId};
use crate::json::Json;
use crate::run::RunState;

use super::rows::StepKey;

/// Something that lets a waiting step go on. One that comes before its step waits is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// Whose run it is.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepKey,
    /// What it says; its shape is the built-in's.
    pub body: Json,
    /// When it came.
    pub at: Timestamp,
}

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signalled {
    /// Kept.
    Kept,
    /// Another one came first.
    Taken,
    /// The run has ended.
    Ended(RunState),
    /// No such run.
    Unknown,
}
