//! Redrive, resolve, discard and explain of one run

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tombolo_core::id::RunId;
use tombolo_core::ports::repair::{By, RepairError};
use tombolo_core::ports::store::StepKey;
use tombolo_core::run::{CannotRepair, Redrive, RunState, StepState};

use super::scene::{host, started, timed_out};
use crate::harness::{Call, Host, Reply};
use crate::repairs::{Asked, Gate};

async fn post(host: &Host, run: RunId, path: &str, body: Value) -> Reply {
    host.call(Call::new("POST", &format!("/api/v1/runs/{run}/{path}")).json(&body)).await
}

fn ask(item: u32) -> StepKey {
    StepKey { node: "ask".to_owned(), item }
}

fn only(host: &Host) -> Asked {
    let mut taken = host.repairs.taken();
    assert_eq!(taken.len(), 1, "{taken:?}");
    taken.remove(0)
}

fn check_by(by: &By, reason: Option<&str>) {
    assert!(by.actor.0.starts_with("token:tok_"), "{by:?}");
    assert_eq!(by.reason.as_deref(), reason);
}

#[tokio::test]
async fn a_run_is_redriven_without_a_word_or_with_many() {
    let host = host().await;
    let run = timed_out(&host).await;
    host.repairs.ends.lock().unwrap().push_back(RunState::Failed);
    let reply = host.call(Call::new("POST", &format!("/api/v1/runs/{run}/redrive"))).await;
    assert_eq!(
        *reply.ok(202),
        json!({
            "run": run, "steps": [{"node": "ask", "item": 0}],
            "href": format!("/api/v1/runs/{run}"),
        })
    );
    let Asked::Redrive(_, redrive, by) = only(&host) else { panic!("it was redriven") };
    assert_eq!(redrive, Redrive::default());
    check_by(&by, None);

    let run = timed_out(&host).await;
    let body = json!({
        "node": "ask", "item": 3, "input": {"id": 8}, "forget_calls": true,
        "repeat_unknown": true, "reason": " another id ",
    });
    post(&host, run, "redrive", body).await.ok(202);
    let Asked::Redrive(_, redrive, by) = only(&host) else { panic!("it was redriven") };
    let input = Some(json!({"id": 8}).into());
    let expected = Redrive { step: Some(ask(3)), input, forget_calls: true, repeat_unknown: true };
    assert_eq!(redrive, expected);
    check_by(&by, Some("another id"));
}

#[tokio::test]
async fn a_wrong_redrive_is_refused_before_anything_is_done() {
    let host = host().await;
    let run = timed_out(&host).await;
    for (body, pointer) in [
        (json!({"input": {"id": 8}}), "/input"),
        (json!({"item": 1}), "/item"),
        (json!({"node": "ask", "item": -1}), "/item"),
        (json!({"nodes": ["ask"]}), "/nodes"),
        (json!([]), ""),
    ] {
        let refused = post(&host, run, "redrive", body.clone()).await;
        assert_eq!(refused.problem(422, "invalid-body")["pointer"], pointer, "{body}");
    }
    assert_eq!(host.repairs.taken(), []);
}

#[tokio::test]
async fn what_the_laws_forbid_is_said() {
    let host = host().await;
    let run = timed_out(&host).await;
    let node = || "ask".to_owned();
    let refuse = async |error: Box<dyn Fn() -> RepairError + Send>, status, code| {
        host.repairs.refuse(run, error);
        let refused = post(&host, run, "redrive", json!({})).await;
        refused.problem(status, code).clone()
    };
    refuse(Box::new(move || RepairError::UnknownRun(run)), 404, "run-not-found").await;
    refuse(Box::new(move || RepairError::Busy(run)), 409, "run-busy").await;
    refuse(Box::new(|| CannotRepair::NothingDead.into()), 409, "nothing-dead").await;
    let unknown = move || CannotRepair::Unknown { node: node() }.into();
    let unknown = refuse(Box::new(unknown), 409, "outcome-unknown").await;
    assert_eq!(unknown["node"], "ask");
    let alive = move || CannotRepair::NotDead { node: node(), state: StepState::Waiting }.into();
    assert_eq!(refuse(Box::new(alive), 409, "step-not-dead").await["state"], "waiting");
}

#[tokio::test]
async fn a_step_is_resolved_with_any_output() {
    let host = host().await;
    let run = timed_out(&host).await;
    let body = json!({"item": 2, "output": null, "reason": "looked it up"});
    let reply = post(&host, run, "steps/ask/resolve", body).await;
    assert_eq!(
        *reply.ok(202),
        json!({
            "run": run, "step": {"node": "ask", "item": 2}, "href": format!("/api/v1/runs/{run}"),
        })
    );
    let Asked::Resolve(_, step, output, by) = only(&host) else { panic!("it was resolved") };
    assert_eq!((step, output), (ask(2), json!(null).into()));
    check_by(&by, Some("looked it up"));

    let missing = post(&host, run, "steps/ask/resolve", json!({})).await;
    let detail = missing.problem(422, "invalid-body")["detail"].to_string();
    assert!(detail.contains("output"), "{detail}");
}

#[tokio::test]
async fn a_step_is_given_up_with_a_reason_only() {
    let host = host().await;
    let run = timed_out(&host).await;
    for body in [json!({}), json!({"reason": "  "}), json!(null)] {
        let refused = post(&host, run, "steps/ask/discard", body).await;
        assert_eq!(refused.problem(422, "invalid-body")["pointer"], "/reason");
    }
    let reply = post(&host, run, "steps/ask/discard", json!({"reason": "obsolete"})).await;
    assert_eq!(*reply.ok(200), json!({"run": run, "step": {"node": "ask", "item": 0}}));
    let Asked::Discard(_, step, by) = only(&host) else { panic!("it was discarded") };
    assert_eq!(step, ask(0));
    check_by(&by, Some("obsolete"));
}

#[tokio::test]
async fn a_run_explains_itself() {
    let host = host().await;
    let run = started(&host).await;
    let explained = host.get(&format!("/api/v1/runs/{run}/explain")).await;
    assert_eq!(
        *explained.ok(200),
        json!({
            "run": run, "state": "queued", "steps": [],
            "why": {
                "code": "retry", "message": "attempt 1 failed, another one follows",
                "until": "2026-09-21T14:13:20.000Z",
            },
        })
    );
    let unknown = format!("/api/v1/runs/run_{}/explain", "0".repeat(32));
    host.get(&unknown).await.problem(404, "run-not-found");
}

/// Sends the request, and hangs up in the middle of the redrive that it leads to.
async fn hang_up(host: &Host, call: Call) {
    let ((entered, is_in), (go, wait), (done, is_done)) =
        (oneshot::channel(), oneshot::channel(), oneshot::channel());
    *host.repairs.gate.lock().unwrap() = Some(Gate { entered, go: wait, done });
    tokio::select! {
        reply = host.call(call) => panic!("it cannot be answered yet: {reply:?}"),
        is_in = is_in => is_in.unwrap(),
    }
    go.send(()).unwrap();
    is_done.await.unwrap();
}

#[tokio::test]
async fn a_repair_comes_to_its_end_when_the_caller_hangs_up() {
    let host = host().await;
    let run = timed_out(&host).await;
    hang_up(&host, Call::new("POST", &format!("/api/v1/runs/{run}/redrive"))).await;
    assert_eq!(host.get("/api/v1/dead-letters/count").await.ok(200)["count"], 0);
}

#[tokio::test]
async fn many_repairs_stop_between_two_runs_when_the_caller_hangs_up() {
    let host = host().await;
    let (_old, new) = (timed_out(&host).await, timed_out(&host).await);
    let call = Call::new("POST", "/api/v1/dead-letters/redrive").json(&json!({"rate": 1000}));
    hang_up(&host, call).await;
    assert_eq!(host.get("/api/v1/dead-letters/count").await.ok(200)["count"], 1);
    let Asked::Redrive(run, ..) = only(&host) else { panic!("one was redriven") };
    assert_eq!(run, new);
}
