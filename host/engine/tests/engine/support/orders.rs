//! What people ask for.

use tombolo_core::audit::Actor;
use tombolo_core::id::RunId;
use tombolo_core::ports::repair::{By, ReplayOrder};
use tombolo_core::run::From;

use super::Bench;

/// Somebody with a token.
pub fn by() -> By {
    By {
        actor: Actor("token:test".into()),
        reason: Some("mended".into()),
        correlation_id: Some("c1".into()),
    }
}

/// A replay from the start, on the run's own version.
pub fn replay_of(bench: &Bench, run: RunId) -> ReplayOrder {
    ReplayOrder {
        tenant: bench.tenant,
        run,
        from: From::Start,
        version: None,
        repeat_unknown: false,
        dedupe_key: None,
    }
}
