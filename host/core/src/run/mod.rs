//! A run and its steps: states, transitions, and what to do next. Pure.

mod builtin;
mod cannot;
mod ending;
#[cfg(test)]
mod ending_tests;
mod explain;
#[cfg(test)]
mod explain_tests;
mod failure;
#[cfg(test)]
mod history_tests;
mod items;
#[cfg(test)]
mod items_tests;
mod logs;
mod model;
mod progress;
mod ready;
mod repair;
#[cfg(test)]
mod repair_tests;
mod replay;
#[cfg(test)]
mod replay_tests;
mod retry;
mod scope;
mod standing;
mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod unknown_item_tests;

pub use builtin::{
    Begun, DEFAULT_EXPIRY, MAX_CALL_DEPTH, MAX_EVENT_DEPTH, Publication, WorkflowCall, begin, due,
    end_of_call, error_of_call, signalled,
};
pub use cannot::CannotRepair;
pub use ending::{give_up_steps, given_up_letters};
pub use explain::{
    Explanation, MAX_ITEMS_EXPLAINED, StepWhy, Surroundings, Why, explain, explain_unusable,
};
pub use failure::{FailedSteps, MAX_STEPS_TOLD, MAX_STEPS_TOLD_BYTES, brief, failed_steps};
pub use logs::MAX_RUN_LOG_BYTES;
pub use model::{Broken, MAX_RUN_BYTES, Run, StepAt};
pub use progress::Failed;
pub use repair::{Redrive, Repaired};
pub use replay::{From, NoSuchNode, Repeat, RepeatedItems, Replay, replay};
pub use retry::{Treatment, Tried, treat};
pub use scope::RunScope;
pub use standing::Standing;
pub use state::{Illegal, RunState, StepEvent, StepState};

use sha2::{Digest, Sha256};

use crate::id::{RunId, TenantId};
#[cfg(doc)]
use crate::ports::store::StepRow;

/// The idempotency key of a step: the same for every attempt, different for every other step.
///
/// 128 bits of SHA-256 over tenant, run, node and item, in hexadecimal; lengths go in, so that no
/// two steps hash the same bytes. `edits` is [`StepRow::edits`].
pub fn idempotency_key(tenant: TenantId, run: RunId, node: &str, item: u32, edits: u32) -> String {
    let digest = Sha256::new()
        .chain_update(tenant.0.as_bytes())
        .chain_update(run.0.as_bytes())
        .chain_update((node.len() as u64).to_be_bytes())
        .chain_update(node.as_bytes())
        .chain_update(item.to_be_bytes())
        .chain_update(edits.to_be_bytes())
        .finalize();
    hex::encode(&digest[..16])
}
