//! The stand-in of Asana: projects and tasks as documented under `/api/1.0`.
//!
//! Asana ignores idempotency keys; `Standin::honour_idempotency_keys(true)` shows a world in which
//! it did not. Knows one token and takes any numeric workspace and team.

mod error;
mod project;
mod provider;
mod record;
mod request;
mod task;

pub use provider::{Asana, start, start_at};

/// The bearer token that is right unless another is set.
pub const TOKEN: &str = "asana-standin-token";

/// A workspace to name in requests; any other number will do as well.
pub const WORKSPACE_GID: &str = "1200000000000001";
