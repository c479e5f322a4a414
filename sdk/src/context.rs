//! The step that is being run. Not for transforms: calling any of these makes a component import
//! `context`, which their world refuses.

#[cfg(target_family = "wasm")]
use crate::bindings::tombolo::node::context as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::context as host;

/// The run's id.
pub fn run_id() -> String {
    host::run_id()
}

/// The node's name in the workflow.
pub fn node() -> String {
    host::node()
}

/// Which attempt of the step this is, counted from 1.
pub fn attempt() -> u32 {
    host::attempt()
}

/// Stable over every attempt of this step.
pub fn idempotency_key() -> String {
    host::idempotency_key()
}

/// The id that ties together what came of one event.
pub fn correlation_id() -> String {
    host::correlation_id()
}

/// When the attempt will be ended, in milliseconds since 1970-01-01T00:00:00Z.
pub fn deadline_ms() -> u64 {
    host::deadline_ms()
}

/// The base URL of the node's connection, without a slash at the end.
pub fn base_url() -> Option<String> {
    host::base_url()
}
