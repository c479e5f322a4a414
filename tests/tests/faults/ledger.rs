//! What was tried and what was acknowledged, kept where no disk can lose it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::ensure;
use tokio::sync::Notify;

use crate::story::{Stage, Story};

/// How far a run has come at least, and at most.
#[derive(Debug, Clone, Copy)]
struct Known {
    acknowledged: Stage,
    tried: Stage,
}

/// The record of all runs.
#[derive(Debug, Default)]
pub struct Ledger {
    known: Mutex<BTreeMap<Story, Known>>,
    acknowledged: Notify,
}

impl Ledger {
    fn known(&self) -> MutexGuard<'_, BTreeMap<Story, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write is about to be asked for.
    pub fn try_(&self, story: Story, stage: Stage) {
        let nothing = Known { acknowledged: Stage::Absent, tried: Stage::Absent };
        let mut all = self.known();
        let known = all.entry(story).or_insert(nothing);
        known.tried = known.tried.max(stage);
    }

    /// A write was answered.
    pub fn acknowledge(&self, story: Story, stage: Stage) {
        if let Some(known) = self.known().get_mut(&story) {
            known.acknowledged = known.acknowledged.max(stage);
        }
        self.acknowledged.notify_waiters();
    }

    /// Waits for so many more answers.
    pub async fn wait_for(&self, answers: usize) {
        for _ in 0..answers {
            self.acknowledged.notified().await;
        }
    }

    /// What the disk has of it: not less than was acknowledged, not more than was tried. From now
    /// on that is what counts.
    pub fn find(&self, story: Story, found: Stage) -> anyhow::Result<()> {
        let mut all = self.known();
        let Some(known) = all.get_mut(&story) else {
            ensure!(found == Stage::Absent, "{story:?} was never written");
            return Ok(());
        };
        let Known { acknowledged, tried } = *known;
        ensure!(found >= acknowledged, "lost: {story:?} was {acknowledged:?} and is {found:?}");
        ensure!(found <= tried, "{story:?} was {tried:?} at most and is {found:?}");
        *known = Known { acknowledged: found, tried: found };
        Ok(())
    }

    /// All runs.
    pub fn stories(&self) -> Vec<Story> {
        self.known().keys().copied().collect()
    }

    /// The number of the next run that nobody knows.
    pub fn next(&self) -> Story {
        self.known().last_key_value().map_or(Story(0), |(last, _)| Story(last.0 + 1))
    }

    /// How far a run has come for sure.
    pub fn stage(&self, story: Story) -> Stage {
        self.known().get(&story).map_or(Stage::Absent, |known| known.acknowledged)
    }

    /// Runs that have come that far.
    pub fn count(&self, stage: Stage) -> u64 {
        self.known().values().filter(|known| known.acknowledged >= stage).count() as u64
    }

    /// Writes that were answered, over all runs.
    pub fn answers(&self) -> u64 {
        let stages = [Stage::Accepted, Stage::Started, Stage::Ended];
        stages.into_iter().map(|stage| self.count(stage)).sum()
    }
}
