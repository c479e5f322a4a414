//! What may be asked of the one writer.

use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId, TokenId};
use tombolo_core::ports::store::{Accepted, CancelRequest, Claim, Lease, QuotaChange, StepKey};
use tombolo_core::run::RunState;

use super::channel::Weighed;
use super::pending::Pending;
use super::rare::Rare;
use crate::record::{AcceptItem, SettleItem};

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
    /// Whose wish it is; apart, because all kinds of writes take as much room as the largest.
    pub(crate) audit: Option<Box<AuditEntry>>,
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

/// What a tenant may use from now on.
#[derive(Debug)]
pub(crate) struct SetQuotas {
    pub(crate) tenant: TenantId,
    pub(crate) change: QuotaChange,
    pub(crate) audit: Option<AuditEntry>,
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

impl Weighed for Command {
    fn rows(&self) -> usize {
        match self {
            Self::Accept(pending) => pending.ask.iter().map(AcceptItem::rows).sum(),
            Self::Settle(pending) => pending.ask.rows(),
            Self::Renew(pending) => pending.ask.leases.len(),
            Self::Claim(pending) => pending.ask.limit.saturating_mul(2),
            Self::Cancel(_) => 2,
            Self::Rare(rare) => rare.rows(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Accept(pending) => pending.ask.iter().map(AcceptItem::bytes).sum(),
            Self::Settle(pending) => pending.ask.bytes(),
            Self::Renew(_) | Self::Claim(_) | Self::Cancel(_) => 0,
            Self::Rare(rare) => rare.bytes(),
        }
    }
}
