//! Runs in the store, brought to a state through the port that the engine uses.

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_core::clock::Clock;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{
    Claim, Claimed, ClaimedRun, Next, RunLog, Settle, StepRow, WorkerId,
};
use tombolo_core::run::{RunState, StepState};

use crate::harness::{Call, Host, Reply};

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
    };
    match host.store.claim(claim).await.unwrap().remove(0) {
        Claimed::Run(run) => *run,
        Claimed::Damaged { reason, .. } => panic!("{reason}"),
    }
}

pub fn step(node: &str, item: u32, state: StepState) -> StepRow {
    StepRow {
        node: node.to_owned(),
        item,
        state,
        attempt: 1,
        spent: 1,
        input: None,
        output: None,
        ports: Vec::new(),
        error: None,
        due_at: None,
        started_at: None,
        ended_at: None,
        plugin: None,
        logs: Vec::new(),
    }
}

pub fn settle(host: &Host, claimed: &ClaimedRun, steps: Vec<StepRow>, next: Next) -> Settle {
    Settle {
        tenant: claimed.run.tenant,
        lease: claimed.lease.clone(),
        steps,
        calls: Vec::new(),
        journal: Vec::new(),
        state: Vec::new(),
        next,
        now: host.clock.now(),
    }
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
