//! What a run brought beside its steps, until it is stored.

use tombolo_core::ports::store::{Accept, Call, Journaled, Pause, StepKey};

/// What is not stored yet, beside steps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owed {
    /// Calls that were made.
    pub calls: Vec<Call>,
    /// Those of attempts that failed, for a later one.
    pub journal: Vec<Journaled>,
    /// Steps that have no later attempt.
    pub forgets: Vec<StepKey>,
    /// Events from inside.
    pub starts: Vec<Accept>,
    /// Steps that have used what came for them.
    pub used: Vec<StepKey>,
    /// Connections that refused.
    pub pauses: Vec<Pause>,
}
