//! What a store answers, in a form that two of them must agree on: sets for which the port promises
//! no order are sorted.

use bytes::Bytes;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::json::Json;
use tombolo_core::ports::egress::Connection;
use tombolo_core::ports::store::{
    Accepted, Added, Applied, Call, CancelRequest, Claimed, ClaimedRun, EventRow, EventView,
    Journaled, Lease, Letter, Opened, Plugin, RunRow, RunSummary, RunView, Signal, Signalled,
    StepRow, StoreError, Swept, Tenant, Token, WorkflowVersion,
};
use tombolo_core::run::RunState;

/// A claimed run.
#[derive(Debug, PartialEq)]
pub struct Told {
    pub run: RunRow,
    pub event: EventRow,
    pub steps: Vec<StepRow>,
    pub journal: Vec<Journaled>,
    pub signals: Vec<Signal>,
    pub lease: Lease,
    pub claims: u32,
}

/// What came of a request for one run.
#[derive(Debug, PartialEq)]
pub enum Open {
    Run(Box<Told>, RunState),
    Busy,
    Unknown,
}

#[derive(Debug, PartialEq)]
pub enum Answer {
    Done,
    Accepted(Vec<Accepted>),
    Claimed(Vec<Told>),
    /// Lost leases, or runs of which something is so.
    Runs(Vec<RunId>),
    Cancel(CancelRequest),
    Signalled(Signalled),
    Opened(Open),
    Count(u64),
    MaybeCount(Option<u64>),
    Flag(bool),
    Applied(Applied),
    Added(Added),
    Swept(Swept),
    Tenant(Option<Tenant>),
    Token(Option<Token>),
    Summaries(Vec<RunSummary>),
    View(Option<Box<RunView>>),
    Calls(Vec<Call>),
    Event(Option<EventView>),
    Audit(Vec<AuditEntry>),
    Letters(Vec<Letter>),
    Signals(Vec<Signal>),
    Due(Option<Timestamp>),
    State(Option<(Json, u64)>),
    Versions(Vec<WorkflowVersion>),
    Connections(Vec<Connection>),
    Plugins(Vec<Plugin>),
    Component(Option<Bytes>),
    Failed(StoreError),
}

impl Answer {
    /// True if both say the same, as far as the port promises it.
    pub fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Failed(one), Self::Failed(other)) => errors_agree(one, other),
            (one, other) => one == other,
        }
    }
}

/// What the database says is its own; what the stores say is the same.
fn errors_agree(one: &StoreError, other: &StoreError) -> bool {
    let ours = |text: &str| text.starts_with("the id ") || text.starts_with("a row names ");
    match (one, other) {
        (StoreError::Refused(one), StoreError::Refused(other)) => {
            one == other || !(ours(one) && ours(other))
        }
        (one, other) => one == other,
    }
}

pub fn told(run: ClaimedRun) -> Told {
    let ClaimedRun { run, event, mut steps, mut journal, mut signals, lease, claims } = run;
    steps.sort_by_key(StepRow::key);
    // Stable: each step's calls keep their order.
    journal.sort_by(|one, other| (&one.node, one.item).cmp(&(&other.node, other.item)));
    signals.sort_by(|one, other| one.step.cmp(&other.step));
    Told { run, event, steps, journal, signals, lease, claims }
}

pub fn claimed(claimed: Vec<Claimed>) -> Answer {
    let told = claimed.into_iter().map(|claimed| match claimed {
        Claimed::Run(run) => told(*run),
        Claimed::Damaged { reason, lease, .. } => panic!("{lease:?} is damaged: {reason}"),
    });
    let mut told: Vec<Told> = told.collect();
    told.sort_by_key(|told| told.run.id);
    Answer::Claimed(told)
}

pub fn opened(opened: Opened) -> Answer {
    Answer::Opened(match opened {
        Opened::Run { run, before } => Open::Run(Box::new(told(*run)), before),
        Opened::Busy => Open::Busy,
        Opened::Unknown => Open::Unknown,
    })
}

pub fn runs(mut runs: Vec<RunId>) -> Answer {
    runs.sort();
    Answer::Runs(runs)
}

pub fn signals(mut signals: Vec<Signal>) -> Answer {
    signals.sort_by(|one, other| one.step.cmp(&other.step));
    Answer::Signals(signals)
}

pub fn view(view: Option<RunView>) -> Answer {
    Answer::View(view.map(|mut view| {
        view.steps.sort_by_key(StepRow::key);
        Box::new(view)
    }))
}

/// Of all tenants, in no order.
pub fn live(mut versions: Vec<WorkflowVersion>) -> Answer {
    versions.sort_by_key(|version| (version.tenant, version.id));
    Answer::Versions(versions)
}
