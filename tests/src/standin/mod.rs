//! What all stand-ins share: the server, the record of calls, the misbehaviour on command.
//!
//! Owns everything that does not depend on which system is stood in for; knows no provider's paths
//! or bodies, which come through [`Provider`].

mod answer;
mod body;
mod call;
mod control;
mod handle;
mod idempotency;
mod misbehaviour;
mod provider;
mod server;

pub use call::Call;
pub use handle::{Standin, StartError, WaitError};
pub use misbehaviour::{Misbehaviour, OVERSIZED_BODY_BYTES, Rule};
pub use provider::{Provider, json_response};

/// The largest request body a stand-in reads; beyond it the answer is 413.
pub const MAX_REQUEST_BODY_BYTES: usize = 16 * 1024 * 1024;

/// The most calls a stand-in records; beyond it the answer is 507, so that no test counts wrong.
/// Who needs more wants the [`sink`](crate::sink).
pub const MAX_RECORDED_CALLS: usize = 200_000;

/// How long [`Standin::wait_for`] waits before it gives up.
pub const WAIT_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);
