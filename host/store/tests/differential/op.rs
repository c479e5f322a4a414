//! What is asked of both stores.

use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, EventId, RunId, TenantId, WorkflowId};
use tombolo_core::ports::egress::Connection;
use tombolo_core::ports::store::{
    Accept, Claim, Lease, LetterCursor, LetterFilter, NewPlugin, NewVersion, Open, Page, RunFilter,
    Settle, Signal, StepKey, SweepCursor, Tenant, Token,
};

/// A write.
#[derive(Debug, Clone)]
pub enum Write {
    Accept(Vec<Accept>),
    Claim(Claim),
    Settle(Box<Settle>),
    Renew(Vec<Lease>, Timestamp),
    Cancel(TenantId, RunId),
    Signal(Signal),
    Open(Open),
    TakeOver(Timestamp),
    SetBack(Timestamp, Timestamp),
    PutConnection(Box<Connection>),
    Resume(TenantId, String, Timestamp, AuditEntry),
    Discard(TenantId, RunId, StepKey, String, AuditEntry),
    ApplyWorkflow(NewVersion),
    AddPlugin(NewPlugin),
    Forget((TenantId, WorkflowId), Timestamp, u32),
    ForgetEvents(Timestamp, u32),
    ForgetWaits(u32),
    Sweep(Option<SweepCursor>, u32),
    EnsureTenant(Tenant, Timestamp),
    PutToken(Token),
    Record(TenantId, AuditEntry),
}

/// A question.
#[derive(Debug, Clone)]
pub enum Read {
    Runs(TenantId, RunFilter, Page),
    Run(TenantId, RunId),
    Calls(TenantId, RunId),
    Event(TenantId, EventId),
    /// So many entries, after so many that are passed over: their numbers are each store's own.
    Audit(TenantId, u32, u32),
    Letters(TenantId, LetterFilter, Option<LetterCursor>, u32),
    LetterCount(TenantId),
    Signals(TenantId, RunId),
    CancelRequested(Vec<RunId>),
    Signalled(Vec<RunId>),
    NextDue,
    NodeState(TenantId, WorkflowId, String, String),
    LiveWorkflows,
    LiveRevision,
    Workflows(TenantId),
    Versions(TenantId, String),
    Version(TenantId, WorkflowId, u32),
    Connection(TenantId, String),
    Connections(TenantId),
    Plugins(TenantId),
    Component(ContentHash),
    Tenant(String),
    Token([u8; 32]),
}

/// One operation of a history.
#[derive(Debug, Clone)]
pub enum Op {
    Write(Write),
    Read(Read),
}

impl Op {
    /// Its kind.
    pub fn kind(&self) -> String {
        match self {
            Self::Write(write) => first_word(write),
            Self::Read(read) => first_word(read),
        }
    }
}

/// The name of an enum's variant.
pub fn first_word(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}
