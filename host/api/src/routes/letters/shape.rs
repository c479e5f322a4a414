//! How a dead letter is shown.

use serde::Serialize;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::Letter;
use tombolo_core::run::StepState;
use utoipa::ToSchema;

use crate::routes::shapes::{Failure, step_state};

/// A step that waits for a person.
#[derive(Serialize, ToSchema)]
pub(crate) struct LetterItem {
    #[schema(value_type = String)]
    run: RunId,
    node: String,
    /// Position among the items of a for-each node; else 0.
    item: u32,
    /// The workflow's name.
    workflow: String,
    /// `dead`, or `unknown` if nobody knows whether it took effect.
    #[schema(schema_with = step_state)]
    state: StepState,
    error: Failure,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Set if a person gave it up.
    discarded: Option<Discarded>,
    #[schema(example = "/api/v1/dead-letters/run_01980000000070008000000000000001/deal/0")]
    href: String,
}

/// When and why a dead letter was given up.
#[derive(Serialize, ToSchema)]
struct Discarded {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    reason: String,
}

impl From<Letter> for LetterItem {
    fn from(letter: Letter) -> Self {
        let (run, step) = (letter.run, letter.step);
        Self {
            href: format!("/api/v1/dead-letters/{run}/{}/{}", step.node, step.item),
            run,
            node: step.node,
            item: step.item,
            workflow: letter.workflow_name,
            state: letter.state,
            error: letter.error.into(),
            since: letter.since,
            discarded: letter.discarded.map(|(at, reason)| Discarded { at, reason }),
        }
    }
}
