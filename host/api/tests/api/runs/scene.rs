//! Runs in the store, brought to a state through the port that the engine uses.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tombolo_core::clock::Clock;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{
    Claim, Claimed, ClaimedRun, Letters, NewLetter, Next, Open, Opened, Pause, Settle, StepKey,
    StepRow, Wanted, WorkerId,
};
use tombolo_core::run::{RunState, StepState};

use crate::harness::{Call, Host, Reply};

pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub const START: &str = "/api/v1/workflows/flow/runs";

/// An API with one workflow.
pub async fn host() -> Host {
    let host = Host::start().await;
    apply(&host, "flow").await;
    host
}

pub async fn apply(host: &Host, name: &str) {
    let file = json!({"name": name, "nodes": {"n": {"use": "set"}}});
    host.call(Call::put(&format!("/api/v1/workflows/{name}"), &file)).await.ok(201);
}

pub async fn start(host: &Host, input: &Value) -> Reply {
    host.call(Call::new("POST", START).json(input)).await
}

/// The id of a run that was just started.
pub async fn started(host: &Host) -> RunId {
    start(host, &json!({"n": 1})).await.ok(202)["run"].as_str().unwrap().parse().unwrap()
}

pub async fn claim(host: &Host) -> ClaimedRun {
    let now = host.clock.now();
    let claim = Claim {
        worker: WorkerId("test".to_owned()),
        limit: 1,
        now,
        until: now.plus(Duration::from_secs(60)),
        held: Vec::new(),
        wanted: Wanted::Due { suspects: 1 },
        turns: None,
    };
    match host.store.claim(claim).await.unwrap().remove(0) {
        Claimed::Run(run) => *run,
        Claimed::Damaged { reason, .. } => panic!("{reason}"),
    }
}

pub fn step(node: &str, item: u32, state: StepState) -> StepRow {
    StepRow { state, attempt: 1, spent: 1, ..StepRow::pending(node, item) }
}

pub fn settle(host: &Host, claimed: &ClaimedRun, steps: Vec<StepRow>, next: Next) -> Settle {
    let (tenant, lease) = (claimed.run.tenant, claimed.lease.clone());
    Settle { steps, ..Settle::new(tenant, lease, next, host.clock.now()) }
}

/// The next run in the queue comes to a good end.
pub async fn succeed(host: &Host) {
    let claimed = claim(host).await;
    let end = Next::End {
        state: RunState::Succeeded,
        output: Some(json!({"ok": true}).into()),
        error: None,
    };
    host.store.settle(settle(host, &claimed, Vec::new(), end)).await.unwrap();
}

/// The next run in the queue waits for a connection whose credentials were refused.
pub async fn pause(host: &Host, connection: &str) {
    let claimed = claim(host).await;
    let park = Next::Park {
        state: RunState::Waiting,
        available_at: None,
        connections: BTreeSet::from([connection.to_owned()]),
    };
    let pause = Pause { connection: connection.to_owned(), reason: "401 Unauthorized".to_owned() };
    let settle = Settle { pauses: vec![pause], ..settle(host, &claimed, Vec::new(), park) };
    host.store.settle(settle).await.unwrap();
}

/// A run whose steps these are, and which failed at those that are dead or unknown.
pub async fn failed(host: &Host, dead: &[(&str, u32, StepState, StepError)]) -> RunId {
    let run = started(host).await;
    let claimed = claim(host).await;
    assert_eq!(claimed.run.id, run, "the only one in the queue");
    let letter = |(node, item, state, error): &(&str, u32, StepState, StepError)| NewLetter {
        step: StepKey { node: (*node).to_owned(), item: *item },
        workflow: claimed.run.workflow,
        state: *state,
        error: error.clone(),
    };
    let letters = Letters { opened: dead.iter().map(letter).collect(), closed: Vec::new() };
    let steps = dead.iter().map(|(node, item, state, error)| StepRow {
        error: Some(error.clone()),
        input: Some(json!({"id": 7}).into()),
        ..step(node, *item, *state)
    });
    let error = dead.first().map(|(.., error)| error.clone());
    let end = Next::End { state: RunState::Failed, output: None, error };
    let settle = Settle { letters, ..settle(host, &claimed, steps.collect(), end) };
    host.store.settle(settle).await.unwrap();
    run
}

/// A run that failed at one step that timed out.
pub async fn timed_out(host: &Host) -> RunId {
    failed(host, &[("ask", 0, StepState::Dead, timeout())]).await
}

pub fn timeout() -> StepError {
    StepError::new(ErrorClass::Transient, "timed-out", "no answer in time")
}

/// A run of a workflow with a `callback` node `called` and an `approval` node `approved_by`. Both
/// wait; the run is parked.
pub async fn asking(host: &Host) -> RunId {
    asking_about(host, &json!({"title": "Pay 5 €?", "details": {"to": "ACME"}})).await
}

/// The same, with what the approval was given.
pub async fn asking_about(host: &Host, approval: &Value) -> RunId {
    let run = asking_soon(host).await;
    let claimed = claim(host).await;
    assert_eq!(claimed.run.id, run, "the only one that is due");
    let waiting = |node, input: &Value| StepRow {
        input: Some(input.clone().into()),
        due_at: Some(host.clock.now().plus(DAY)),
        ..step(node, 0, StepState::Waiting)
    };
    let steps = vec![waiting("called", &json!({})), waiting("approved_by", approval)];
    let park = Next::Park {
        state: RunState::Waiting,
        available_at: None,
        connections: Default::default(),
    };
    host.store.settle(settle(host, &claimed, steps, park)).await.unwrap();
    run
}

/// The same, before it has asked.
pub async fn asking_soon(host: &Host) -> RunId {
    let file = json!({"name": "ask", "nodes": {
        "n": {"use": "set"},
        "called": {"use": "callback"},
        "approved_by": {"use": "approval", "with": {"title": "Pay?"}},
    }});
    host.call(Call::put("/api/v1/workflows/ask", &file)).await;
    let started = host.call(Call::post("/api/v1/workflows/ask/runs", "{}")).await;
    started.ok(202)["run"].as_str().unwrap().parse().unwrap()
}

/// The run that waits ends, at these steps.
pub async fn end(host: &Host, run: RunId, steps: Vec<StepRow>, state: RunState) {
    let now = host.clock.now();
    let worker = WorkerId("end".to_owned());
    let open = Open { tenant: host.tenant, run, worker, now, until: now.plus(DAY) };
    let Opened::Run { run, .. } = host.store.open(open).await.unwrap() else {
        panic!("nobody else works on it");
    };
    let end = Next::End { state, output: None, error: None };
    host.store.settle(settle(host, &run, steps, end)).await.unwrap();
}
