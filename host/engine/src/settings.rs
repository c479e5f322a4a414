//! The engine's bounds.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tombolo_core::audit::CheckpointRule;

/// How often an idle process looks into a queue that others fill, too.
const IDLE_POLL: Duration = Duration::from_secs(3);

/// Bounds of the engine, each with a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSettings {
    /// Works on runs. A process that does not takes in only: others claim what it accepts.
    pub works: bool,
    /// Forgets what is old, alerts people, and makes up for a clock that was set back.
    pub keeps_house: bool,
    /// Other processes write to the same store: what they change has to be looked for.
    pub shared: bool,
    /// Runs worked on at the same time.
    pub concurrent_runs: usize,
    /// How long a claim holds without renewal, in milliseconds.
    pub lease_ms: u64,
    /// Longest time between two looks into the queue, and between two looks at the clock for a run
    /// under way, in milliseconds.
    pub poll_ms: u64,
    /// Runs claimed with one look.
    pub claim_batch: usize,
    /// Claims without any progress after which a run is failed: it kills its workers.
    pub max_claims: u32,
    /// How long a stop waits for runs under way, in milliseconds.
    pub drain_ms: u64,
    /// How often old runs are forgotten, in milliseconds.
    pub housekeeping_ms: u64,
    /// How long an alert about the same is not repeated, in milliseconds.
    pub alert_repeat_ms: u64,
    /// How often the ends of the records of what people did are looked at, in milliseconds; as often as
    /// `checkpoint_ms` if that is shorter.
    pub checkpoint_poll_ms: u64,
    /// New entries of a record after which a checkpoint is signed at the next look.
    pub checkpoint_entries: u64,
    /// How long after the last checkpoint a new entry is signed at the latest, in milliseconds.
    pub checkpoint_ms: u64,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            works: true,
            keeps_house: true,
            shared: false,
            concurrent_runs: 256,
            lease_ms: 30_000,
            poll_ms: 1_000,
            claim_batch: 64,
            max_claims: 5,
            drain_ms: 10_000,
            housekeeping_ms: 60_000,
            alert_repeat_ms: 300_000,
            checkpoint_poll_ms: 10_000,
            checkpoint_entries: 256,
            checkpoint_ms: 60_000,
        }
    }
}

impl EngineSettings {
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    pub(crate) fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    /// The longest time between two looks into a queue in which nothing was found for a while. In a
    /// store that others share, each look is a question to a server.
    pub(crate) fn idle_poll(&self) -> Duration {
        if self.shared { self.poll().max(IDLE_POLL) } else { self.poll() }
    }

    pub(crate) fn housekeeping(&self) -> Duration {
        Duration::from_millis(self.housekeeping_ms)
    }

    pub(crate) fn alert_repeat(&self) -> Duration {
        Duration::from_millis(self.alert_repeat_ms)
    }

    pub(crate) fn checkpoint_poll(&self) -> Duration {
        Duration::from_millis(self.checkpoint_poll_ms.min(self.checkpoint_ms))
    }

    pub(crate) fn checkpoint_rule(&self) -> CheckpointRule {
        CheckpointRule {
            entries: self.checkpoint_entries,
            every: Duration::from_millis(self.checkpoint_ms),
        }
    }

    pub(crate) fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}
