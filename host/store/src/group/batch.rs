//! The writes of one transaction, by kind.
//!
//! Writes of one batch were all waiting at once: none was asked for because another was answered.
//! So their order within the batch is free, and a writer may take each kind in one go.

use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Accepted, CancelRequest, Claim, StoreError};

use super::command::{Cancel, Command, Leased, Renew};
use super::pending::Pending;
use super::rare::Rare;
use crate::record::{AcceptItem, SettleItem};

/// The writes of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) rare: Vec<Rare>,
    pub(crate) accepts: Vec<Pending<Vec<AcceptItem>, Vec<Accepted>>>,
    pub(crate) renews: Vec<Pending<Renew, Vec<RunId>>>,
    pub(crate) settles: Vec<Pending<Box<SettleItem>, ()>>,
    pub(crate) cancels: Vec<Pending<Cancel, CancelRequest>>,
    pub(crate) claims: Vec<Pending<Claim, Vec<Leased>>>,
}

impl FromIterator<Command> for Batch {
    fn from_iter<Commands: IntoIterator<Item = Command>>(commands: Commands) -> Self {
        let mut batch = Self::default();
        commands.into_iter().for_each(|command| batch.push(command));
        batch
    }
}

impl Batch {
    /// Adds a write.
    fn push(&mut self, command: Command) {
        match command {
            Command::Accept(pending) => self.accepts.push(pending),
            Command::Settle(pending) => self.settles.push(pending),
            Command::Renew(pending) => self.renews.push(pending),
            Command::Cancel(pending) => self.cancels.push(pending),
            Command::Claim(pending) => self.claims.push(pending),
            Command::Rare(rare) => self.rare.push(*rare),
        }
    }

    /// Writes in it.
    pub(crate) fn len(&self) -> usize {
        self.rare.len()
            + self.accepts.len()
            + self.renews.len()
            + self.settles.len()
            + self.cancels.len()
            + self.claims.len()
    }

    /// True if the file can become shorter, once the batch is committed.
    pub(crate) fn frees_room(&self) -> bool {
        self.rare.iter().any(Rare::freed_room)
    }

    /// Batches of one write each, in the order a batch is written.
    pub(crate) fn split(self) -> Vec<Self> {
        let rare = self.rare.into_iter().map(|rare| Command::Rare(Box::new(rare)));
        let accepts = self.accepts.into_iter().map(Command::Accept);
        let renews = self.renews.into_iter().map(Command::Renew);
        let settles = self.settles.into_iter().map(Command::Settle);
        let cancels = self.cancels.into_iter().map(Command::Cancel);
        let claims = self.claims.into_iter().map(Command::Claim);
        rare.chain(accepts)
            .chain(renews)
            .chain(settles)
            .chain(cancels)
            .chain(claims)
            .map(|command| {
                let mut batch = Self::default();
                batch.push(command);
                batch
            })
            .collect()
    }

    /// Answers every write with its outcome; to be called after the commit.
    pub(crate) fn answer(self) {
        self.rare.into_iter().for_each(Rare::answer);
        self.accepts.into_iter().for_each(Pending::answer);
        self.renews.into_iter().for_each(Pending::answer);
        self.settles.into_iter().for_each(Pending::answer);
        self.cancels.into_iter().for_each(Pending::answer);
        self.claims.into_iter().for_each(Pending::answer);
    }

    /// Answers every write with the same error.
    pub(crate) fn fail(self, error: &StoreError) {
        for rare in self.rare {
            rare.fail(error.clone());
        }
        fail_all(self.accepts, error);
        fail_all(self.renews, error);
        fail_all(self.settles, error);
        fail_all(self.cancels, error);
        fail_all(self.claims, error);
    }
}

fn fail_all<Ask, Answer>(pending: Vec<Pending<Ask, Answer>>, error: &StoreError) {
    for pending in pending {
        pending.fail(error.clone());
    }
}
