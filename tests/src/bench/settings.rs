//! How long and how often is measured.

use std::time::Duration;

use super::Shape;

/// Rounds unless asked otherwise: the fewest that have a median.
pub const DEFAULT_ROUNDS: u32 = 3;

/// Seconds of one measurement unless asked otherwise.
pub const DEFAULT_SECONDS: f64 = 4.0;

/// Most rounds.
const MAX_ROUNDS: u32 = 100;

/// Longest measurement.
const MAX_SECONDS: f64 = 600.0;

/// What is measured, how long and how often.
#[derive(Debug, Clone)]
pub struct Settings {
    /// In the order of the report.
    pub shapes: Vec<Shape>,
    /// Each figure is the median of so many.
    pub rounds: u32,
    /// Of one measurement, after its warm-up.
    pub duration: Duration,
    /// Before each measurement.
    pub warm_up: Duration,
    /// Measures on PostgreSQL, which is started for it.
    pub postgres: bool,
    /// Ended runs in the store of `history`.
    pub history: u64,
    /// Runs of one tenant that are due when another's first one comes.
    pub backlog: u64,
    /// Calls into the sandbox of each kind.
    pub sandbox_calls: u32,
    /// Variables that the server starts with, to try other settings than its defaults.
    pub variables: Vec<(String, String)>,
}

impl Settings {
    /// The figures that go into the documents.
    #[must_use]
    pub fn full(shapes: Vec<Shape>, rounds: u32, seconds: f64) -> Self {
        let seconds = seconds.clamp(0.1, MAX_SECONDS);
        Self {
            shapes,
            rounds: rounds.clamp(1, MAX_ROUNDS),
            duration: Duration::from_secs_f64(seconds),
            warm_up: Duration::from_secs_f64((seconds / 4.0).min(1.0)),
            postgres: false,
            history: 1_000_000,
            backlog: 1_000_000,
            sandbox_calls: 5_000,
            variables: Vec::new(),
        }
    }

    /// Seconds for everything: shows that the benchmarks work, not what they measure.
    #[must_use]
    pub fn quick(shapes: Vec<Shape>) -> Self {
        Self { sandbox_calls: 500, history: 5_000, backlog: 20_000, ..Self::full(shapes, 1, 0.5) }
    }
}
