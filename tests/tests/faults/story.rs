//! The runs that are written: everything of a run follows from its number, so that what is found can
//! be compared whole.

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::egress::{CallRecord, InboundResponse};
use tombolo_core::ports::journal::{JournalEntry, Kept};
use tombolo_core::ports::sandbox::StateWrite;
use tombolo_core::ports::store::{
    Accept, Call, Journaled, Lease, NewEvent, NewRun, Next, Reading, RunLimits, RunLog, RunView,
    Settle, StateChange, StepRow, WorkerId,
};
use tombolo_core::run::{RunState, StepState};
use tombolo_store::SqliteStore;
use uuid::Uuid;

pub const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// When leases end: not while a test lasts.
pub const LATER: Timestamp = Timestamp(NOW.0 + 3_600_000);

pub const TENANT: TenantId = TenantId(Uuid::from_u128(1));
pub const WORKFLOW: WorkflowId = WorkflowId(Uuid::from_u128(2));

/// Ids of runs and events begin here.
const FIRST_ID: u128 = 1 << 64;

/// Bytes of payloads and outputs: most are short, some stand in a table of their own.
const SIZES: [usize; 8] = [10, 300, 3_000, 300, 9_000, 10, 40_000, 300];

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Absent,
    Accepted,
    /// One step is settled, with its call, its journal and its state.
    Started,
    Ended,
}

/// One run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Story(pub u64);

impl Story {
    /// The run of that id.
    pub fn of(run: RunId) -> Self {
        Self((run.0.as_u128() - FIRST_ID) as u64)
    }

    pub fn run(self) -> RunId {
        RunId(Uuid::from_u128(FIRST_ID + u128::from(self.0)))
    }

    fn event(self) -> EventId {
        EventId(Uuid::from_u128(FIRST_ID + u128::from(self.0)))
    }

    /// A text that no other place has.
    fn text(self, place: &str) -> Json {
        let size = SIZES[self.0 as usize % SIZES.len()];
        let unit = format!("{place}-{}.", self.0);
        Json::from_value(unit.repeat(size.div_ceil(unit.len())).into())
    }

    /// The event with its run: leased to `worker`, or queued.
    pub fn accept(self, worker: Option<&WorkerId>) -> Accept {
        Accept {
            event: NewEvent {
                id: self.event(),
                tenant: TENANT,
                source: "hook:deals".to_owned(),
                dedupe_key: self.0.to_string(),
                fingerprint: None,
                payload: self.text("event"),
                correlation_id: self.0.to_string(),
                received_at: NOW,
            },
            runs: vec![NewRun {
                id: self.run(),
                workflow: WORKFLOW,
                version: 1,
                trigger: "deal_changed".to_owned(),
                deadline: None,
                lease: worker.map(|worker| (worker.clone(), LATER)),
                parent: None,
                depth: 0,
                replay_of: None,
                steps: Vec::new(),
                ended: None,
                flow: RunLimits::default(),
            }],
            audit: None,
        }
    }

    /// The lease that the run was accepted with.
    pub fn first_lease(self, worker: &WorkerId) -> Lease {
        Lease { run: self.run(), owner: worker.clone(), epoch: 1 }
    }

    /// The settle that brings the run to a stage.
    pub fn settle(self, lease: &Lease, stage: Stage) -> Settle {
        let settle = |node, next| Settle {
            steps: vec![self.step(node)],
            ..Settle::new(TENANT, lease.clone(), next, NOW)
        };
        match stage {
            Stage::Ended => {
                let (state, output) = (RunState::Succeeded, Some(self.text("output")));
                settle("second", Next::End { state, output, error: None })
            }
            _ => Settle {
                calls: vec![self.call()],
                journal: vec![self.journaled()],
                state: vec![self.state()],
                ..settle("first", Next::Hold)
            },
        }
    }

    fn step(self, node: &str) -> StepRow {
        StepRow {
            state: StepState::Succeeded,
            attempt: 1,
            spent: 1,
            input: Some(self.text("input")),
            output: Some(self.text(node)),
            started_at: Some(NOW),
            ended_at: Some(NOW),
            ..StepRow::pending(node, 0)
        }
    }

    fn call(self) -> Call {
        let record = CallRecord {
            sequence: 0,
            method: "POST".to_owned(),
            url: format!("https://api.example.com/{}", self.0),
            request_headers: Vec::new(),
            request_body: None,
            request_hash: "ab".repeat(32),
            idempotency_key: None,
            status: Some(201),
            response_headers: Vec::new(),
            response_body: None,
            error: None,
            from_journal: false,
            started_at: NOW,
            duration_ms: 1,
        };
        Call { node: "first".to_owned(), item: 0, attempt: 1, record }
    }

    fn journaled(self) -> Journaled {
        let response = InboundResponse {
            status: StatusCode::CREATED,
            headers: HeaderMap::new(),
            body: Bytes::from(self.0.to_string()),
        };
        let entry = JournalEntry { place: 0, request_hash: [7; 32], kept: Kept::Answer(response) };
        Journaled { node: "first".to_owned(), item: 0, entry }
    }

    fn state(self) -> StateChange {
        let value = Json::from_value(json!({"of": self.0}));
        let write = StateWrite { key: self.0.to_string(), expected: 0, value };
        StateChange { workflow: WORKFLOW, node: "first".to_owned(), write }
    }

    /// How far the run has come in the store; an error if it is none of the stages, whole.
    pub async fn found(self, store: &SqliteStore) -> anyhow::Result<Stage> {
        let event = store.event(TENANT, self.event()).await?;
        let view = store.run(TENANT, self.run()).await?;
        let Some(view) = view else {
            ensure!(event.is_none(), "{self:?} has an event and no run");
            return Ok(Stage::Absent);
        };
        let event = event.with_context(|| format!("{self:?} has a run and no event"))?;
        ensure!(event.payload.text() == self.text("event").text(), "{self:?}: another payload");
        ensure!(event.runs == [self.run()], "{self:?}: other runs {:?}", event.runs);
        let stage = self.stage(&view)?;
        let calls = store.calls(TENANT, self.run()).await?;
        let started = stage >= Stage::Started;
        ensure!(calls == if started { vec![self.call()] } else { Vec::new() }, "{calls:?}");
        let state = store.node_state(TENANT, WORKFLOW, "first", &self.0.to_string()).await?;
        let (written, state) = (self.state().write, state.map(|(value, _)| value));
        let expected = started.then(|| written.value.text().to_owned());
        ensure!(state.map(|value| value.text().to_owned()) == expected, "{self:?}: its state");
        Ok(stage)
    }

    fn stage(self, view: &RunView) -> anyhow::Result<Stage> {
        let mut steps = view.steps.clone();
        steps.sort_by(|a, b| a.node.cmp(&b.node));
        let nodes: Vec<&str> = steps.iter().map(|step| step.node.as_str()).collect();
        let queued = view.available_at.is_some();
        let stage = match (view.run.state, &nodes[..], queued) {
            (RunState::Queued | RunState::Running, [], true) => Stage::Accepted,
            (RunState::Running, ["first"], true) => Stage::Started,
            (RunState::Succeeded, ["first", "second"], false) => Stage::Ended,
            other => bail!("{self:?} is half written: {other:?}"),
        };
        for step in &steps {
            ensure!(is_same(step, &self.step(&step.node)), "{self:?}: another {}", step.node);
        }
        let output = (stage == Stage::Ended).then(|| self.text("output"));
        let text = |json: &Option<Json>| json.as_ref().map(|json| json.text().to_owned());
        ensure!(text(&view.run.output) == text(&output), "{self:?}: another output");
        Ok(stage)
    }
}

fn is_same(one: &StepRow, other: &StepRow) -> bool {
    let text = |json: &Option<Json>| json.as_ref().map(|json| json.text().to_owned());
    let without = |step: &StepRow| StepRow { input: None, output: None, ..step.clone() };
    without(one) == without(other)
        && text(&one.input) == text(&other.input)
        && text(&one.output) == text(&other.output)
}
