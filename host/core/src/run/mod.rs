//! A run and its steps: states, transitions, and what to do next. Pure.

mod builtin;
mod ending;
mod explain;
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
mod replay;
#[cfg(test)]
mod replay_tests;
mod retry;
mod scope;
mod standing;
mod state;
#[cfg(test)]
mod testing;

pub use builtin::{
    Begun, DEFAULT_EXPIRY, MAX_CALL_DEPTH, Publication, WorkflowCall, begin, due, end_of_call,
    signalled,
};
pub use ending::give_up_steps;
pub use explain::{Explanation, MAX_ITEMS_EXPLAINED, StepWhy, Surroundings, Why, explain};
pub use logs::MAX_RUN_LOG_BYTES;
pub use model::{Broken, MAX_RUN_BYTES, Run, StepAt};
pub use progress::Failed;
pub use repair::{CannotRepair, Redrive};
pub use replay::{From, NoSuchNode, Repeat, Replay, replay};
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
