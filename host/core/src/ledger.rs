//! The changing calls of one attempt beside those of the attempts before it: which place among the
//! step's changes a request takes, and whether it is sent.
//!
//! A change that went well is given again and never sent again. One that failed is sent again, at
//! its place and so under its idempotency key, be it by this attempt or by a later one. While an
//! answer of an earlier attempt is still to be asked for, every other request is a mismatch: sent,
//! it might do twice what was asked once.

use crate::effect::Effect;
use crate::ports::egress::InboundResponse;
use crate::ports::journal::{JournalEntry, Kept};

/// The changes of a step, as one attempt sees them.
#[derive(Debug, Default)]
pub struct Ledger {
    changes: Vec<Change>,
}

#[derive(Debug)]
struct Change {
    /// What a later attempt would be left.
    entry: JournalEntry,
    asked: Asked,
    /// True if the entry differs from what earlier attempts left.
    news: bool,
}

/// Whether this attempt has come to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    NotYet,
    UnderWay,
    Over,
}

/// What becomes of a request that can change the other side.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// It is sent, at this place.
    Send(u32),
    /// An earlier attempt made it, and this is its answer.
    Given(InboundResponse),
    /// An earlier attempt made it, and its answer was too large to be kept.
    TooLarge,
    /// Earlier attempts made another one.
    Mismatch,
}

impl Ledger {
    /// What earlier attempts left, at the beginning of the next one.
    pub fn new(left: &[JournalEntry]) -> Self {
        let change = |entry: &JournalEntry| Change {
            entry: entry.clone(),
            asked: Asked::NotYet,
            news: false,
        };
        Self { changes: left.iter().map(change).collect() }
    }

    /// Decides about the next request.
    pub fn ask(&mut self, hash: [u8; 32]) -> Ask {
        let left = |change: &&mut Change| change.asked == Asked::NotYet && !change.entry.failed();
        let same = |change: &&mut Change| change.entry.request_hash == hash;
        if let Some(change) = self.changes.iter_mut().find(|change| left(change) && same(change)) {
            change.asked = Asked::Over;
            return match &change.entry.kept {
                Kept::Answer(answer) => Ask::Given(answer.clone()),
                Kept::TooLarge | Kept::Failed => Ask::TooLarge,
            };
        }
        let again = |change: &&mut Change| change.asked != Asked::UnderWay && change.entry.failed();
        if let Some(change) = self.changes.iter_mut().find(|change| again(change) && same(change)) {
            change.asked = Asked::UnderWay;
            return Ask::Send(change.entry.place);
        }
        if self.changes.iter_mut().any(|change| left(&change)) {
            return Ask::Mismatch;
        }
        Ask::Send(self.send_anew(hash))
    }

    /// A request that no earlier one was like. It stands for the next of those that failed, if one
    /// is left: a body with a time in it is another each time, and its key must stay.
    fn send_anew(&mut self, hash: [u8; 32]) -> u32 {
        let begun = self.changes.iter().rposition(|change| change.asked != Asked::NotYet);
        let rest = begun.map_or(0, |at| at + 1);
        let entry = match self.changes.get(rest) {
            Some(next) => JournalEntry { request_hash: hash, ..next.entry.clone() },
            None => JournalEntry { place: self.end(), request_hash: hash, kept: Kept::Failed },
        };
        let place = entry.place;
        let change = Change { entry, asked: Asked::UnderWay, news: true };
        match self.changes.get_mut(rest) {
            Some(next) => *next = change,
            None => self.changes.push(change),
        }
        place
    }

    /// The place after the last one.
    fn end(&self) -> u32 {
        self.changes.iter().map(|change| change.entry.place + 1).max().unwrap_or(0)
    }

    /// The request at this place was answered. `room` is for the answer, in bytes.
    pub fn answered(&mut self, place: u32, answer: &InboundResponse, room: usize) {
        let taken: usize = self
            .changes
            .iter()
            .filter(|change| change.news)
            .map(|change| change.entry.bytes())
            .sum();
        if let Some(change) = self.under_way(place) {
            change.asked = Asked::Over;
            if let Some(kept) = Kept::of(answer, room.saturating_sub(taken)) {
                change.entry.kept = kept;
                change.news = true;
            }
        }
    }

    /// The request at this place has no answer.
    pub fn failed(&mut self, place: u32) {
        if let Some(change) = self.under_way(place) {
            change.asked = Asked::Over;
        }
    }

    fn under_way(&mut self, place: u32) -> Option<&mut Change> {
        let mut changes = self.changes.iter_mut();
        changes.find(|change| change.entry.place == place && change.asked == Asked::UnderWay)
    }

    /// What the attempt adds to the journal, should it fail. Where nothing went well there is
    /// nothing that must not be made again.
    pub fn close(&mut self, effect: Effect) -> Vec<JournalEntry> {
        let changes = std::mem::take(&mut self.changes);
        if effect <= Effect::Read || changes.iter().all(|change| change.entry.failed()) {
            return Vec::new();
        }
        changes.into_iter().filter(|change| change.news).map(|change| change.entry).collect()
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
