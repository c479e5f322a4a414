//! A run and its steps: states, transitions, and what to do next. Pure.

mod ending;
mod model;
mod retry;
mod scope;
mod state;

pub use ending::give_up_steps;
pub use model::{Broken, MAX_RUN_BYTES, Run, Standing};
pub use retry::{Treatment, Tried, treat};
pub use scope::RunScope;
pub use state::{Illegal, RunState, StepEvent, StepState};

use sha2::{Digest, Sha256};

use crate::id::{RunId, TenantId};

/// The idempotency key of a step: the same for every attempt, different for every other step.
///
/// 128 bits of SHA-256 over tenant, run, node and item, in hexadecimal; lengths go in, so that no
/// two steps hash the same bytes.
pub fn idempotency_key(tenant: TenantId, run: RunId, node: &str, item: u32) -> String {
    let digest = Sha256::new()
        .chain_update(tenant.0.as_bytes())
        .chain_update(run.0.as_bytes())
        .chain_update((node.len() as u64).to_be_bytes())
        .chain_update(node.as_bytes())
        .chain_update(item.to_be_bytes())
        .finalize();
    hex::encode(&digest[..16])
}
