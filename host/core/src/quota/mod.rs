//! Quotas: what a tenant may use, and who is over.

mod allowances;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use allowances::{Allowances, Counts, Usage};

/// What a tenant may use. None for no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// Runs that events and people start in a minute. As many may come at once after a minute of
    /// rest. What a run starts itself is not held back.
    pub runs_per_minute: Option<u32>,
    /// Runs that have not ended.
    pub concurrent_runs: Option<u64>,
    /// Bytes of long texts and components.
    pub storage_bytes: Option<u64>,
    /// Connections.
    pub connections: Option<u32>,
}

impl Quotas {
    /// True if nothing has a bound.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One of the quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// See [`Quotas::runs_per_minute`].
    RunsPerMinute,
    /// See [`Quotas::concurrent_runs`].
    ConcurrentRuns,
    /// See [`Quotas::storage_bytes`].
    StorageBytes,
    /// See [`Quotas::connections`].
    Connections,
}

impl Quota {
    /// The name as written.
    pub fn name(self) -> &'static str {
        match self {
            Self::RunsPerMinute => "runs_per_minute",
            Self::ConcurrentRuns => "concurrent_runs",
            Self::StorageBytes => "storage_bytes",
            Self::Connections => "connections",
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A tenant has used up a quota. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tenant's quota {quota} is used up: {current} of {limit}")]
pub struct OverQuota {
    /// Which.
    pub quota: Quota,
    /// The bound.
    pub limit: u64,
    /// What is used of it.
    pub current: u64,
    /// When it is worth trying again; None where waiting alone does not help.
    pub retry_after: Option<Duration>,
}
