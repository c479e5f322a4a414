//! What a power cut leaves of the changes since the last flush: any of them, in any order, down to
//! a part of a sector. Seeded. Never takes back what was flushed.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// What is left after a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leaves {
    /// What was flushed, and nothing else.
    Flushed,
    /// What was flushed, and of the rest whatever this seed says.
    Any {
        /// The same seed leaves the same of the same changes.
        seed: u64,
    },
}

/// A change of a file's bytes that is not flushed.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// These bytes from this place on.
    Write { at: u64, bytes: Vec<u8> },
    /// Another length; what is cut off reads as zeros if the file grows again.
    Resize { from: u64, to: u64 },
}

impl Change {
    /// The bytes that it touches: start and end.
    fn range(&self) -> (u64, u64) {
        match self {
            Self::Write { at, bytes } => (*at, at + bytes.len() as u64),
            Self::Resize { from, to } => ((*to).min(*from), *from),
        }
    }

    /// The file's length after it.
    fn length(&self, before: u64) -> u64 {
        match self {
            Self::Write { .. } => before.max(self.range().1),
            Self::Resize { to, .. } => *to,
        }
    }

    /// Does to `file` what the change does between two places.
    fn apply(&self, file: &mut Vec<u8>, (start, end): (u64, u64)) {
        let (from, to) = self.range();
        let (start, end) = (start.max(from) as usize, end.min(to) as usize);
        if start >= end {
            return;
        }
        if file.len() < end {
            file.resize(end, 0);
        }
        match self {
            Self::Write { at, bytes } => {
                let skip = *at as usize;
                file[start..end].copy_from_slice(&bytes[start - skip..end - skip]);
            }
            Self::Resize { .. } => file[start..end].fill(0),
        }
    }
}

/// Does all changes, as a flush does.
pub(super) fn apply_all(file: &mut Vec<u8>, changes: &[Change]) {
    for change in changes {
        change.apply(file, change.range());
        if let Change::Resize { to, .. } = change {
            file.resize(*to as usize, 0);
        }
    }
}

/// How the changes of one file survive.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Nothing,
    Everything,
    /// Those up to some time; the next one is torn.
    Beginning,
    /// Every sector as it was at a time of its own.
    Scattered,
    /// Sectors that were changed late, and none of the others.
    End,
}

const MANNERS: [Manner; 5] =
    [Manner::Nothing, Manner::Everything, Manner::Beginning, Manner::Scattered, Manner::End];

/// Chooses what survives one cut.
#[derive(Debug)]
pub(super) struct Survival {
    rng: StdRng,
    /// The same for all files, or chosen for each.
    manner: Option<Manner>,
    sector_bytes: u64,
}

impl Survival {
    pub fn new(leaves: Leaves) -> Self {
        let (seed, flushed_only) = match leaves {
            Leaves::Flushed => (0, true),
            Leaves::Any { seed } => (seed, false),
        };
        let mut rng = StdRng::seed_from_u64(seed);
        let one = if rng.random() { None } else { MANNERS.choose(&mut rng).copied() };
        let sector_bytes = if rng.random() { 512 } else { 4096 };
        let manner = if flushed_only { Some(Manner::Nothing) } else { one };
        Self { rng, manner, sector_bytes }
    }

    fn manner(&mut self) -> Manner {
        self.manner.or_else(|| MANNERS.choose(&mut self.rng).copied()).unwrap_or(Manner::Nothing)
    }

    /// Does to `file` what survives of the changes.
    pub fn apply(&mut self, file: &mut Vec<u8>, changes: &[Change]) {
        let manner = self.manner();
        // A time is a number of changes: 0 is before the first.
        let (end, some) = (changes.len(), self.rng.random_range(0..=changes.len()));
        let length_at = match manner {
            Manner::Nothing => 0,
            Manner::Everything => end,
            Manner::Beginning => some,
            Manner::Scattered | Manner::End => self.rng.random_range(0..=end),
        };
        let length = length_at_time(file.len() as u64, changes, length_at);
        let times = self.times(manner, some, changes);
        for (index, change) in changes.iter().enumerate() {
            for part in parts(change, self.sector_bytes) {
                if index < times[&(part.0 / self.sector_bytes)] {
                    change.apply(file, part);
                }
            }
        }
        file.resize(length as usize, 0);
        if let (Manner::Beginning, Some(torn)) = (manner, changes.get(some)) {
            self.tear(file, torn);
        }
    }

    /// For every sector that is touched, the time as of which it survives.
    fn times(&mut self, manner: Manner, some: usize, changes: &[Change]) -> BTreeMap<u64, usize> {
        let mut times = BTreeMap::new();
        // Filled with when each was touched last, at first.
        for (index, change) in changes.iter().enumerate() {
            for (start, _) in parts(change, self.sector_bytes) {
                times.insert(start / self.sector_bytes, index);
            }
        }
        for time in times.values_mut() {
            *time = match manner {
                Manner::Nothing => 0,
                Manner::Everything => changes.len(),
                Manner::Beginning => some,
                Manner::Scattered => self.rng.random_range(0..=changes.len()),
                Manner::End if *time >= some => changes.len(),
                Manner::End => 0,
            };
        }
        times
    }

    /// The first bytes of a change that was under way.
    fn tear(&mut self, file: &mut Vec<u8>, change: &Change) {
        let (start, end) = change.range();
        if let Change::Write { .. } = change
            && start < end
        {
            change.apply(file, (start, self.rng.random_range(start..end)));
        }
    }

    /// Which of so many changes of names survive, in their order.
    pub fn names(&mut self, changes: usize) -> Vec<bool> {
        let manner = self.manner();
        let some = self.rng.random_range(0..=changes);
        let survives = |index: usize| match manner {
            Manner::Nothing => false,
            Manner::Everything => true,
            Manner::Beginning => index < some,
            Manner::Scattered => self.rng.random(),
            Manner::End => index >= some,
        };
        (0..changes).map(survives).collect()
    }
}

fn length_at_time(before: u64, changes: &[Change], time: usize) -> u64 {
    changes[..time].iter().fold(before, |length, change| change.length(length))
}

/// The parts of a change, each within one sector: start and end.
fn parts(change: &Change, sector_bytes: u64) -> impl Iterator<Item = (u64, u64)> {
    let (mut start, end) = change.range();
    std::iter::from_fn(move || {
        let next = ((start / sector_bytes + 1) * sector_bytes).min(end);
        let part = (start < end).then_some((start, next));
        start = next;
        part
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTOR: usize = 512;

    fn write(at: u64, byte: u8, length: usize) -> Change {
        Change::Write { at, bytes: vec![byte; length] }
    }

    /// What cuts with many seeds leave of three writes over a flushed file of four 4 KiB pages.
    fn outcomes() -> Vec<Vec<u8>> {
        let changes = [write(0, 1, 8192), write(0, 2, 4096), write(8192, 3, 16_384)];
        (0..500)
            .map(|seed| {
                let mut file = vec![9; 16_384];
                Survival::new(Leaves::Any { seed }).apply(&mut file, &changes);
                file
            })
            .collect()
    }

    fn some(outcomes: &[Vec<u8>], is: impl Fn(&[u8]) -> bool) -> bool {
        outcomes.iter().any(|file| is(file))
    }

    #[test]
    fn anything_may_be_left_but_what_was_never_there() {
        let outcomes = outcomes();
        for file in &outcomes {
            assert!(file.iter().all(|byte| [0, 1, 2, 3, 9].contains(byte)));
            assert!(file[..4096].iter().all(|byte| *byte != 3), "at another place");
        }
        assert!(some(&outcomes, |file| file.iter().all(|byte| *byte == 9)), "nothing");
        assert!(some(&outcomes, |file| file.len() == 24_576 && file[0] == 2), "everything");
        let reordered = |file: &[u8]| file[0] == 9 && file[4096] == 9 && file[8192] == 3;
        assert!(some(&outcomes, reordered), "the last without the first");
        let in_sectors = |file: &[u8]| file[0] == 9 && file[SECTOR] == 2;
        assert!(some(&outcomes, in_sectors), "some sectors of one write");
        let torn = |file: &[u8]| (1..4096).any(|at| at % SECTOR != 0 && file[at - 1] != file[at]);
        assert!(some(&outcomes, torn), "a write that ends within a sector");
        let hole = |file: &[u8]| file.len() > 16_384 && file[16_384..].contains(&0);
        assert!(some(&outcomes, hole), "the length without the bytes");
    }

    #[test]
    fn a_seed_leaves_the_same_each_time() {
        assert_eq!(outcomes(), outcomes());
    }

    #[test]
    fn only_what_was_flushed_is_left_if_so_wanted() {
        let mut file = vec![9; 100];
        let changes = [write(0, 1, 50), Change::Resize { from: 100, to: 10 }];
        Survival::new(Leaves::Flushed).apply(&mut file, &changes);
        assert_eq!(file, vec![9; 100]);
        assert_eq!(Survival::new(Leaves::Flushed).names(2), [false, false]);
    }

    #[test]
    fn all_changes_together_are_a_flush() {
        let mut file = vec![9; 10];
        let shrink = Change::Resize { from: 10, to: 4 };
        apply_all(&mut file, &[write(8, 1, 4), shrink, write(6, 2, 1)]);
        assert_eq!(file, [9, 9, 9, 9, 0, 0, 2]);
    }
}
