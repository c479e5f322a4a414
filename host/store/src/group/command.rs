//! A write that waits: what is asked, what came of it, and whom to answer.

use tokio::sync::oneshot;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::egress::Connection;
use tombolo_core::ports::store::{
    Accepted, Added, Applied, CancelRequest, Claim, Lease, NewPlugin, NewVersion, StoreError,
    Tenant, Token,
};

use crate::record::{AcceptItem, SettleItem};

/// One write of `Ask`, answered with `Answer`.
#[derive(Debug)]
pub(crate) struct Pending<Ask, Answer> {
    /// What is asked.
    pub(crate) ask: Ask,
    /// What came of it, if the transaction commits.
    pub(crate) outcome: Option<Result<Answer, StoreError>>,
    reply: oneshot::Sender<Result<Answer, StoreError>>,
}

impl<Ask, Answer> Pending<Ask, Answer> {
    /// A write and where its answer will come.
    pub(crate) fn new(ask: Ask) -> (Self, oneshot::Receiver<Result<Answer, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let outcome = None;
        (Self { ask, outcome, reply }, answer)
    }

    /// Notes what came of it.
    pub(crate) fn set(&mut self, outcome: Result<Answer, StoreError>) {
        self.outcome = Some(outcome);
    }

    /// Answers with what came of it; to be called after the commit.
    pub(crate) fn answer(self) {
        let outcome = self.outcome.unwrap_or_else(|| {
            Err(StoreError::Database("the writer passed over this write".to_owned()))
        });
        // Whoever has stopped waiting needs no answer.
        let _ = self.reply.send(outcome);
    }

    /// Answers that it failed.
    pub(crate) fn fail(self, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}

/// A run that was leased; the rest of it is read after the commit.
#[derive(Debug, Clone)]
pub(crate) struct Leased {
    pub(crate) tenant: TenantId,
    pub(crate) run: RunId,
    pub(crate) epoch: i64,
    pub(crate) claims: u32,
}

/// The leases to move, and until when.
#[derive(Debug)]
pub(crate) struct Renew {
    pub(crate) leases: Vec<Lease>,
    pub(crate) until: Timestamp,
}

/// The run to cancel.
#[derive(Debug)]
pub(crate) struct Cancel {
    pub(crate) tenant: TenantId,
    pub(crate) run: RunId,
    pub(crate) now: Timestamp,
}

/// Any write.
#[derive(Debug)]
pub(crate) enum Command {
    Accept(Pending<Vec<AcceptItem>, Vec<Accepted>>),
    Settle(Pending<Box<SettleItem>, ()>),
    Renew(Pending<Renew, Vec<RunId>>),
    Cancel(Pending<Cancel, CancelRequest>),
    Claim(Pending<Claim, Vec<Leased>>),
    Rare(Box<Rare>),
}

/// Writes that are few, so that each has its own statements: those of people, and of the start.
#[derive(Debug)]
pub(crate) enum Rare {
    /// Writes nothing: does the writer still write?
    Probe(Pending<(), ()>),
    GiveBack(Pending<Vec<Lease>, ()>),
    TakeOver(Pending<Timestamp, u64>),
    Tenant(Pending<(Tenant, Timestamp), Tenant>),
    Token(Pending<Token, ()>),
    Plugin(Pending<NewPlugin, Added>),
    Workflow(Pending<NewVersion, Applied>),
    Connection(Pending<Connection, ()>),
}

impl Rare {
    pub(crate) fn answer(self) {
        match self {
            Self::Probe(pending) => pending.answer(),
            Self::GiveBack(pending) => pending.answer(),
            Self::TakeOver(pending) => pending.answer(),
            Self::Tenant(pending) => pending.answer(),
            Self::Token(pending) => pending.answer(),
            Self::Plugin(pending) => pending.answer(),
            Self::Workflow(pending) => pending.answer(),
            Self::Connection(pending) => pending.answer(),
        }
    }

    pub(crate) fn fail(self, error: StoreError) {
        match self {
            Self::Probe(pending) => pending.fail(error),
            Self::GiveBack(pending) => pending.fail(error),
            Self::TakeOver(pending) => pending.fail(error),
            Self::Tenant(pending) => pending.fail(error),
            Self::Token(pending) => pending.fail(error),
            Self::Plugin(pending) => pending.fail(error),
            Self::Workflow(pending) => pending.fail(error),
            Self::Connection(pending) => pending.fail(error),
        }
    }
}

impl Command {
    /// Rows it writes, roughly.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Accept(pending) => pending.ask.iter().map(AcceptItem::rows).sum(),
            Self::Settle(pending) => pending.ask.rows(),
            Self::Renew(pending) => pending.ask.leases.len(),
            Self::Claim(pending) => pending.ask.limit.saturating_mul(2),
            Self::Cancel(_) => 2,
            Self::Rare(_) => 1,
        }
    }

    /// Bytes it holds in memory and writes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Accept(pending) => pending.ask.iter().map(AcceptItem::bytes).sum(),
            Self::Settle(pending) => pending.ask.bytes(),
            Self::Renew(_) | Self::Claim(_) | Self::Cancel(_) => 0,
            Self::Rare(rare) => match rare.as_ref() {
                Rare::Plugin(pending) => pending.ask.component.len(),
                Rare::Workflow(pending) => pending.ask.definition.text().len(),
                Rare::Probe(_)
                | Rare::GiveBack(_)
                | Rare::TakeOver(_)
                | Rare::Tenant(_)
                | Rare::Token(_)
                | Rare::Connection(_) => 0,
            },
        }
    }
}
