//! The simplest store that keeps the port's promises.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, RunId};
use tombolo_core::ports::store::Lease;
use tombolo_core::run::RunState;

use crate::world::worker;

pub const LEASE_MS: i64 = 30_000;
pub const WORKERS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub state: RunState,
    /// None once the run has ended.
    pub queued: Option<Queued>,
    pub cancel_requested: bool,
    /// What each step gave last.
    pub steps: BTreeMap<String, i64>,
    /// Those of the steps that wait.
    pub waiting: BTreeSet<String>,
    /// What is there for steps.
    pub signals: BTreeMap<String, i64>,
    /// Of all the epochs it had, the largest.
    pub last_epoch: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Queued {
    /// None if it is not due by itself.
    pub available_at: Option<Timestamp>,
    pub owner: Option<&'static str>,
    pub epoch: i64,
    pub claims: u32,
}

impl Queued {
    /// Makes the run due by `now`.
    pub fn wake(&mut self, now: Timestamp) {
        self.available_at = Some(self.available_at.map_or(now, |at| at.min(now)));
    }
}

impl Run {
    /// True if a signal is there for a step that waits.
    pub fn signalled(&self) -> bool {
        self.signals.keys().any(|step| self.waiting.contains(step))
    }
}

pub struct Model {
    pub now: Timestamp,
    pub writes: i64,
    pub events: BTreeMap<u8, (EventId, RunId)>,
    pub runs: BTreeMap<RunId, Run>,
    pub entry: Option<(i64, u64)>,
}

impl Model {
    pub fn new(now: Timestamp) -> Self {
        Self { now, writes: 0, events: BTreeMap::new(), runs: BTreeMap::new(), entry: None }
    }

    /// Of what there is, the run of that number.
    pub fn pick(&self, index: usize) -> Option<RunId> {
        let count = self.runs.len().max(1);
        self.runs.keys().nth(index % count).copied()
    }

    /// When a lease ends that is given now.
    pub fn until(&self) -> Timestamp {
        Timestamp(self.now.0 + LEASE_MS)
    }

    /// The lease that somebody with a stale or a true idea of things would use, and whether it is
    /// the run's.
    pub fn lease(&self, run: RunId, stale: bool) -> (Lease, bool) {
        let queued = self.runs[&run].queued.as_ref();
        let owner = queued.and_then(|queued| queued.owner).unwrap_or(WORKERS[0]);
        let epoch = queued.map_or(self.runs[&run].last_epoch, |queued| queued.epoch);
        let held = !stale && queued.is_some_and(|queued| queued.owner.is_some());
        (Lease { run, owner: worker(owner), epoch: epoch - i64::from(stale) }, held)
    }

    pub fn next_due(&self) -> Option<Timestamp> {
        let queued = self.runs.values().filter_map(|run| run.queued.as_ref());
        queued.filter_map(|queued| queued.available_at).min()
    }
}
