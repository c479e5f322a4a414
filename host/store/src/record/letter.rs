//! Dead letters as columns.

use tombolo_core::id::WorkflowId;
use tombolo_core::ports::store::{NewLetter, StepKey};

use super::to_json;

/// A row of `dead_letter`, without tenant, run and times.
#[derive(Debug)]
pub(crate) struct LetterRecord {
    pub(crate) step: StepKey,
    pub(crate) workflow: WorkflowId,
    pub(crate) state: &'static str,
    pub(crate) class: &'static str,
    pub(crate) code: String,
    pub(crate) error: String,
}

impl LetterRecord {
    /// Makes the columns.
    pub(crate) fn new(letter: NewLetter) -> Self {
        Self {
            step: letter.step,
            workflow: letter.workflow,
            state: letter.state.name(),
            class: letter.error.class.name(),
            error: to_json(&letter.error),
            code: letter.error.code,
        }
    }
}
