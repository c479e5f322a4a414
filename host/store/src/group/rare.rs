//! Writes that are few, so that each has its own statements: those of people, of the start, of what
//! comes from outside, and of housekeeping.

use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::egress::Connection;
use tombolo_core::ports::store::{
    Added, Applied, Lease, NewVersion, Open, Signalled, StoreError, SweepCursor, Tenant, Token,
    TokenUse, Vacuumed,
};

use super::command::{Discard, Forget, LooseEvents, OpenedLease, Resume, Revoke, SetQuotas, Wait};
use super::pending::Pending;
use crate::record::{PluginItem, SignalItem};

/// A rare write.
#[derive(Debug)]
pub(crate) enum Rare {
    /// Writes nothing: does the writer still write?
    Probe(Pending<(), ()>),
    GiveBack(Pending<Vec<Lease>, ()>),
    TakeOver(Pending<Timestamp, u64>),
    /// From one time to an earlier one.
    SetBack(Pending<(Timestamp, Timestamp), u64>),
    Open(Pending<Open, OpenedLease>),
    Signal(Pending<SignalItem, Signalled>),
    Tenant(Pending<(Tenant, Timestamp), Tenant>),
    Token(Pending<(Token, Option<AuditEntry>), ()>),
    Revoke(Pending<Revoke, bool>),
    Touch(Pending<Vec<TokenUse>, ()>),
    Quotas(Pending<SetQuotas, ()>),
    Plugin(Pending<PluginItem, Added>),
    Workflow(Pending<NewVersion, Applied>),
    Connection(Pending<(Connection, Option<AuditEntry>), ()>),
    Resume(Pending<Resume, Option<u64>>),
    Discard(Pending<Discard, bool>),
    Record(Pending<(TenantId, AuditEntry), ()>),
    Forget(Pending<Forget, u64>),
    LooseEvents(Pending<LooseEvents, u64>),
    Waits(Pending<Vec<Wait>, u64>),
    Sweep(Pending<Vec<SweepCursor>, u64>),
    Vacuum(Pending<u32, Vacuumed>),
}

/// Calls a method on whichever write it is.
macro_rules! on_pending {
    ($rare:expr, $pending:ident => $call:expr) => {
        match $rare {
            Rare::Probe($pending) => $call,
            Rare::GiveBack($pending) => $call,
            Rare::TakeOver($pending) => $call,
            Rare::SetBack($pending) => $call,
            Rare::Open($pending) => $call,
            Rare::Signal($pending) => $call,
            Rare::Tenant($pending) => $call,
            Rare::Token($pending) => $call,
            Rare::Revoke($pending) => $call,
            Rare::Touch($pending) => $call,
            Rare::Quotas($pending) => $call,
            Rare::Plugin($pending) => $call,
            Rare::Workflow($pending) => $call,
            Rare::Connection($pending) => $call,
            Rare::Resume($pending) => $call,
            Rare::Discard($pending) => $call,
            Rare::Record($pending) => $call,
            Rare::Forget($pending) => $call,
            Rare::LooseEvents($pending) => $call,
            Rare::Waits($pending) => $call,
            Rare::Sweep($pending) => $call,
            Rare::Vacuum($pending) => $call,
        }
    };
}

impl Rare {
    /// Answers with what came of it; to be called after the commit.
    pub(crate) fn answer(self) {
        on_pending!(self, pending => pending.answer());
    }

    /// Answers that it failed.
    pub(crate) fn fail(self, error: StoreError) {
        on_pending!(self, pending => pending.fail(error));
    }

    /// Rows it writes, roughly.
    pub(super) fn rows(&self) -> usize {
        match self {
            // A run has a few rows below it.
            Self::Forget(pending) => pending.ask.runs.len().saturating_mul(10),
            Self::LooseEvents(pending) => pending.ask.limit as usize,
            Self::Waits(pending) => pending.ask.len(),
            Self::Touch(pending) => pending.ask.len(),
            Self::Sweep(pending) => pending.ask.len(),
            _ => 1,
        }
    }

    /// Bytes it holds in memory and writes, roughly.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Plugin(pending) => pending.ask.payload.len(),
            Self::Workflow(pending) => pending.ask.definition.text().len(),
            Self::Signal(pending) => pending.ask.bytes(),
            _ => 0,
        }
    }

    /// True if it made the file shorter, or will have with the next checkpoint.
    pub(super) fn freed_room(&self) -> bool {
        matches!(self, Self::Vacuum(Pending { outcome: Some(Ok(done)), .. }) if done.freed_bytes > 0)
    }
}
