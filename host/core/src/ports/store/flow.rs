//! Flow control of one run, as the store applies it: in the transaction that accepts the run, and in
//! those that claim, park and end it. So nothing leaks when a process dies.

use std::time::Duration;

/// What a run has to wait for before it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flow {
    /// Places it has to have in all of these.
    pub lanes: Vec<Lane>,
    /// How often runs start.
    pub throttle: Option<Throttle>,
    /// Events that come soon after each other are one run.
    pub debounce: Option<Debounce>,
    /// Only one run at a time.
    pub singleton: Option<Singleton>,
    /// Whose turn comes first.
    pub priority: Priority,
}

impl Flow {
    /// True if the run need not wait for anything.
    pub fn is_free(&self) -> bool {
        *self == Self::default()
    }
}

/// A queue with so many places. Names are unique per tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// `wf_../order/<hash of the key>`.
    pub name: String,
    /// Runs that have a place at the same time: from the moment they may start until they end.
    pub limit: u32,
    /// No run overtakes one that came before it.
    pub in_order: bool,
    /// A run that is parked keeps its place.
    pub keeps_place: bool,
}

/// At most so many starts in a time, evenly spread after a burst of as many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throttle {
    /// Which starts count together.
    pub name: String,
    /// So many.
    pub runs: u32,
    /// In this time.
    pub per: Duration,
}

/// An event that comes while a run of the same name has not started takes its place in that run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debounce {
    /// Which events belong together.
    pub name: String,
    /// The run starts so long after the last event.
    pub wait: Duration,
    /// And so long after the first at the latest.
    pub max: Duration,
}

/// Only one run of a name that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Singleton {
    /// Which runs count together.
    pub name: String,
    /// What becomes of an event that comes meanwhile.
    pub when_busy: WhenBusy,
}

/// What becomes of an event that comes while a singleton goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenBusy {
    /// It belongs to that run; nothing starts.
    Join,
    /// The run is cancelled, and the new one starts when it has ended.
    Replace,
}

/// Whose turn comes first. One place in eight of a claim is kept for the lower ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Before all others.
    High,
    /// As usual.
    #[default]
    Normal,
    /// After all others.
    Low,
}
