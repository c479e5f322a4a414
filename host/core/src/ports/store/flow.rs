//! Flow control of one run, as the store applies it: in the transaction that accepts the run, and in
//! those that claim, park and end it. So nothing leaks when a process dies.
//!
//! A run whose worker died keeps its places until it is claimed again and ends. One whose end was
//! asked for, or whose time is up, is claimed without places, to be ended. A run that had ended and
//! is opened again goes on without: it is in no lane any more.

use std::time::Duration;

/// What a run has to wait for before it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunLimits {
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

impl RunLimits {
    /// True if the run need not wait for anything.
    pub fn is_free(&self) -> bool {
        *self == Self::default()
    }

    /// True if its event may take its place in a run that is there already.
    pub fn may_join(&self) -> bool {
        let joins = |rule: &Singleton| rule.when_busy == WhenBusy::Join;
        self.debounce.is_some() || self.singleton.as_ref().is_some_and(joins)
    }
}

/// A queue with so many places. Names are unique per tenant. A run takes its places in all lanes at
/// once or in none; those that wait are let in by their priority, then in the order in which they
/// came. One that waits for several lanes stands in the line of one of them at a time; in the others
/// it may be overtaken where they do not go in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// `wf_../order/<hash of the key>`.
    pub name: String,
    /// Runs that have a place at the same time: from the moment they may start until they end.
    pub limit: u32,
    /// No run overtakes one that came before it and waits, whatever their priorities.
    pub in_order: bool,
    /// A run that is parked as `waiting` keeps its place. If not, it has to get one again before it
    /// goes on.
    pub keeps_place: bool,
}

/// At most so many starts in a time, evenly spread after a burst of as many. The time of a start is
/// set when the run is accepted; a run in lanes starts when it has its places, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throttle {
    /// Which starts count together.
    pub name: String,
    /// So many.
    pub runs: u32,
    /// In this time.
    pub per: Duration,
}

/// An event that comes while a run of the same name has not been claimed yet takes its place in that
/// run: it is the run's event from then on, and its run's deadline is the run's.
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
    /// It belongs to that run; nothing starts. Unless that run's end was asked for: then the new one
    /// starts when it has ended.
    Join,
    /// The end of the run, and of those it waits for, is asked for, and the new one starts when it
    /// has ended.
    Replace,
}

/// Whose turn comes first. One place in eight of a claim, rounded down, is kept for the longest due
/// below the highest priority that is due.
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
