//! A write that waits: what is asked, what came of it, and whom to answer.

use tokio::sync::oneshot;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId, TokenId};
use tombolo_core::ports::store::{Accepted, CancelRequest, Claim, Lease, StepKey, StoreError};
use tombolo_core::run::RunState;

use super::rare::Rare;
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
}

/// What a request for one run met.
#[derive(Debug, Clone)]
pub(crate) enum OpenedLease {
    /// Leased; the rest of it is read after the commit.
    Run {
        leased: Leased,
        before: RunState,
    },
    Busy,
    Unknown,
}

/// The connection whose pause ends.
#[derive(Debug)]
pub(crate) struct Resume {
    pub(crate) tenant: TenantId,
    pub(crate) name: String,
    pub(crate) now: Timestamp,
    pub(crate) audit: AuditEntry,
}

/// The dead letter to give up, and why.
#[derive(Debug)]
pub(crate) struct Discard {
    pub(crate) tenant: TenantId,
    pub(crate) run: RunId,
    pub(crate) step: StepKey,
    pub(crate) reason: String,
    pub(crate) audit: AuditEntry,
}

/// A token to take back.
#[derive(Debug)]
pub(crate) struct Revoke {
    pub(crate) tenant: TenantId,
    pub(crate) token: TokenId,
    pub(crate) audit: AuditEntry,
}

/// The runs to forget, unless somebody needs them.
#[derive(Debug)]
pub(crate) struct Forget {
    pub(crate) tenant: TenantId,
    pub(crate) runs: Vec<RunId>,
    pub(crate) ended_before: Timestamp,
}

/// The events to forget that started no run.
#[derive(Debug)]
pub(crate) struct LooseEvents {
    pub(crate) received_before: Timestamp,
    pub(crate) limit: u32,
}

/// A note that a run waits for a connection.
#[derive(Debug)]
pub(crate) struct Wait {
    pub(crate) tenant: TenantId,
    pub(crate) connection: String,
    pub(crate) run: RunId,
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

impl Command {
    /// Rows it writes, roughly.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Accept(pending) => pending.ask.iter().map(AcceptItem::rows).sum(),
            Self::Settle(pending) => pending.ask.rows(),
            Self::Renew(pending) => pending.ask.leases.len(),
            Self::Claim(pending) => pending.ask.limit.saturating_mul(2),
            Self::Cancel(_) => 2,
            Self::Rare(rare) => rare.rows(),
        }
    }

    /// Bytes it holds in memory and writes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Accept(pending) => pending.ask.iter().map(AcceptItem::bytes).sum(),
            Self::Settle(pending) => pending.ask.bytes(),
            Self::Renew(_) | Self::Claim(_) | Self::Cancel(_) => 0,
            Self::Rare(rare) => rare.bytes(),
        }
    }
}
