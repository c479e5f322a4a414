//! The items of one for-each node, and which of them can be worked on next.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::state::StepState;
use crate::clock::Timestamp;
use crate::ports::store::StepRow;

/// Items by position. The sets tell where an item stands without looking at all of them.
#[derive(Debug, Clone)]
pub(super) struct Items {
    rows: Vec<StepRow>,
    pending: BTreeSet<u32>,
    /// With the time they are due.
    waiting: BTreeSet<(Timestamp, u32)>,
    /// The same by item.
    dues: BTreeMap<u32, Timestamp>,
    /// Items that wait for a run which they have called.
    called: BTreeSet<u32>,
    /// Items that wait for a person.
    stopped: BTreeSet<u32>,
    /// Attempts under way.
    running: BTreeSet<u32>,
    /// Dead, unknown or cancelled.
    failed: BTreeSet<u32>,
}

impl Items {
    /// So many items, none of them started.
    pub(super) fn new(node: &str, count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            rows: (1..=count).map(|item| StepRow::pending(node, item)).collect(),
            pending: (1..=count).collect(),
            waiting: BTreeSet::new(),
            dues: BTreeMap::new(),
            called: BTreeSet::new(),
            stopped: BTreeSet::new(),
            running: BTreeSet::new(),
            failed: BTreeSet::new(),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        // There are never more: see `new`.
        u32::try_from(self.rows.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &StepRow> {
        self.rows.iter()
    }

    /// The item, which has to be one of the list.
    pub(super) fn row(&self, item: u32) -> &StepRow {
        &self.rows[place(item)]
    }

    pub(super) fn row_mut(&mut self, item: u32) -> &mut StepRow {
        &mut self.rows[place(item)]
    }

    /// Puts a stored item in its place; an error if there is no such place.
    pub(super) fn put(&mut self, row: StepRow) -> Result<(), ()> {
        let item = row.item;
        *self.rows.get_mut(place(item)).ok_or(())? = row;
        self.sort_in(item);
        Ok(())
    }

    /// Sorts an item in by where it stands now.
    pub(super) fn sort_in(&mut self, item: u32) {
        self.pending.remove(&item);
        self.called.remove(&item);
        self.stopped.remove(&item);
        self.running.remove(&item);
        self.failed.remove(&item);
        if let Some(due) = self.dues.remove(&item) {
            self.waiting.remove(&(due, item));
        }
        let row = &self.rows[place(item)];
        match (row.state, row.due_at) {
            (StepState::Pending, None) => {
                self.pending.insert(item);
            }
            (StepState::Running, _) => {
                self.running.insert(item);
            }
            (StepState::Waiting | StepState::Pending, Some(due)) => {
                self.waiting.insert((due, item));
                self.dues.insert(item, due);
            }
            (StepState::Waiting, None) if row.child.is_some() => {
                self.called.insert(item);
            }
            (StepState::Waiting, None) => {
                self.stopped.insert(item);
            }
            (StepState::Dead | StepState::Unknown | StepState::Cancelled, _) => {
                self.failed.insert(item);
            }
            (StepState::Succeeded | StepState::Skipped, _) => {}
        }
    }

    /// Items that can be worked on now, those that have waited first: at most `limit`, those under
    /// way, here or in a called run, and in `busy` included. None is new once the list is `halted`.
    pub(super) fn next(
        &self,
        now: Timestamp,
        limit: usize,
        busy: usize,
        is_taken: impl Fn(u32) -> bool,
        halted: bool,
    ) -> Vec<u32> {
        let room = limit.saturating_sub(self.running.len() + self.called.len() + busy);
        let due = self.waiting.iter().take_while(|(due, _)| *due <= now).map(|(_, item)| *item);
        let fresh = self.pending.iter().copied().filter(|_| !halted);
        due.chain(fresh).filter(|item| !is_taken(*item)).take(room).collect()
    }

    /// The first item that failed.
    pub(super) fn first_failed(&self) -> Option<&StepRow> {
        self.failed().next()
    }

    /// Dead, unknown or cancelled ones.
    pub(super) fn failed(&self) -> impl Iterator<Item = &StepRow> {
        self.failed.iter().map(|item| self.row(*item))
    }

    /// The first item of which nobody knows whether it took effect.
    pub(super) fn first_unknown(&self) -> Option<&StepRow> {
        self.failed().find(|row| row.state == StepState::Unknown)
    }

    /// True if no item goes on; a `halted` list starts none of those that are left.
    pub(super) fn settled(&self, halted: bool) -> bool {
        self.running.is_empty()
            && self.waiting.is_empty()
            && self.called.is_empty()
            && self.stopped.is_empty()
            && (halted || self.pending.is_empty())
    }

    /// True if attempts are under way.
    pub(super) fn busy(&self) -> bool {
        !self.running.is_empty()
    }

    /// True if an item waits, for a time or for something else.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty() || !self.called.is_empty() || !self.stopped.is_empty()
    }

    /// When the first waiting item is due.
    pub(super) fn first_due(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// The same of those that are not due at `now`.
    pub(super) fn first_due_after(&self, now: Timestamp) -> Option<Timestamp> {
        let later = (Bound::Excluded((now, u32::MAX)), Bound::Unbounded);
        self.waiting.range(later).next().map(|(due, _)| *due)
    }

    /// Forgets what nobody asks for again of all items that have ended.
    pub(super) fn slim_ended(&mut self) {
        for item in 1..=self.count() {
            if self.row(item).state.ended() {
                self.slim(item);
            }
        }
    }

    /// Forgets the input of an item that has succeeded.
    pub(super) fn slim(&mut self, item: u32) {
        let row = self.row_mut(item);
        if row.state == StepState::Succeeded {
            row.input = None;
        }
    }
}

/// Items are counted from 1.
fn place(item: u32) -> usize {
    usize::try_from(item).unwrap_or(usize::MAX).saturating_sub(1)
}
