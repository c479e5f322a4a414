//! The writes of one transaction.

use std::collections::BTreeMap;

use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{Accepted, StoreError};

use crate::group::{Pending, Weighed};
use crate::record::{AcceptItem, SettleItem};

/// A write of what a run brings.
#[derive(Debug)]
pub(in crate::postgres) enum Write {
    Accept(Pending<Vec<AcceptItem>, Vec<Accepted>>),
    Settle(Pending<Box<SettleItem>, ()>),
}

impl Weighed for Write {
    fn rows(&self) -> usize {
        match self {
            Self::Accept(pending) => pending.ask.iter().map(AcceptItem::rows).sum(),
            Self::Settle(pending) => pending.ask.rows(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Accept(pending) => pending.ask.iter().map(AcceptItem::bytes).sum(),
            Self::Settle(pending) => pending.ask.bytes(),
        }
    }
}

impl Write {
    fn answer(self) {
        match self {
            Self::Accept(pending) => pending.answer(),
            Self::Settle(pending) => pending.answer(),
        }
    }

    fn fail(self, error: StoreError) {
        match self {
            Self::Accept(pending) => pending.fail(error),
            Self::Settle(pending) => pending.fail(error),
        }
    }
}

/// The writes of one transaction. Their order is free: none was asked for because another of them was
/// answered.
#[derive(Debug)]
pub(super) struct Batch(Vec<Write>);

impl FromIterator<Write> for Batch {
    fn from_iter<Writes: IntoIterator<Item = Write>>(writes: Writes) -> Self {
        Self(writes.into_iter().collect())
    }
}

/// What a batch brings for one tenant, each with where its outcome goes.
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    pub(super) accepts: Vec<(Place, &'a AcceptItem)>,
    pub(super) settles: Vec<(Place, &'a SettleItem)>,
}

/// A place in a batch: which write, and of that which item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    write: usize,
    item: usize,
}

/// What came of the items of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    pub(super) accepted: Vec<(Place, Accepted)>,
    pub(super) settled: Vec<(Place, Result<(), StoreError>)>,
}

impl Batch {
    /// Writes in it.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Its items by tenant, in the order in which all transactions go through tenants.
    pub(super) fn parts(&self) -> BTreeMap<TenantId, Part<'_>> {
        let mut parts: BTreeMap<TenantId, Part<'_>> = BTreeMap::new();
        for (write, one) in self.0.iter().enumerate() {
            match one {
                Write::Accept(pending) => {
                    for (item, accept) in pending.ask.iter().enumerate() {
                        let part = parts.entry(accept.event.tenant).or_default();
                        part.accepts.push((Place { write, item }, accept));
                    }
                }
                Write::Settle(pending) => {
                    let part = parts.entry(pending.ask.tenant).or_default();
                    part.settles.push((Place { write, item: 0 }, &pending.ask));
                }
            }
        }
        parts
    }

    /// Answers every write with its outcome; to be called after the commit.
    pub(super) fn answer(self, outcomes: Outcomes) {
        let mut accepted: BTreeMap<usize, Vec<(usize, Accepted)>> = BTreeMap::new();
        for (place, outcome) in outcomes.accepted {
            accepted.entry(place.write).or_default().push((place.item, outcome));
        }
        let mut settled: BTreeMap<usize, Result<(), StoreError>> =
            outcomes.settled.into_iter().map(|(place, outcome)| (place.write, outcome)).collect();
        for (write, mut one) in self.0.into_iter().enumerate() {
            match &mut one {
                Write::Accept(pending) => {
                    let mut outcomes = accepted.remove(&write).unwrap_or_default();
                    outcomes.sort_by_key(|(item, _)| *item);
                    pending.set(Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect()));
                }
                Write::Settle(pending) => {
                    if let Some(outcome) = settled.remove(&write) {
                        pending.set(outcome);
                    }
                }
            }
            one.answer();
        }
    }

    /// Answers every write with the same error.
    pub(super) fn fail(self, error: &StoreError) {
        self.0.into_iter().for_each(|write| write.fail(error.clone()));
    }

    /// Two batches of half its writes.
    pub(super) fn halves(mut self) -> (Self, Self) {
        let second = self.0.split_off(self.0.len() / 2);
        (self, Self(second))
    }
}
