//! `POST /api/v1/runs/{id}/replay` and `POST /api/v1/runs/replay`

use serde_json::{Value, json};
use tombolo_core::ports::repair::{RepairError, VersionChoice};
use tombolo_core::run::{From as Beginning, NoSuchNode, RunState};

use super::scene::{host, started, succeed, timed_out};
use crate::harness::{Call, Host, Reply};
use crate::repairs::Asked;

const MANY: &str = "/api/v1/runs/replay";

async fn replay(host: &Host, path: &str, body: &Value, key: Option<&str>) -> Reply {
    let call = Call::new("POST", path).json(body);
    host.call(match key {
        Some(key) => call.header("idempotency-key", key),
        None => call,
    })
    .await
}

fn one(run: impl std::fmt::Display) -> String {
    format!("/api/v1/runs/{run}/replay")
}

#[tokio::test]
async fn a_replay_says_its_run_what_it_takes_over_and_what_it_repeats() {
    let host = host().await;
    let run = timed_out(&host).await;
    let body = json!({"from": {"node": "ask"}, "version": "latest", "reason": "again"});
    let reply = replay(&host, &one(run), &body, None).await;
    let new = reply.ok(202)["run"].clone();
    let href = format!("/api/v1/runs/{}", new.as_str().unwrap());
    assert_eq!(
        reply.json,
        json!({
            "run": new, "replay_of": run, "href": href,
            "version": 1, "takes_over": ["deal"],
            "repeats": [{"node": "ask", "uses": "crm.ask", "effect": "unsafe", "was": "dead"}],
        })
    );
    assert_eq!(reply.header("location"), Some(&*href));
    let [Asked::Replay(order, by)] = &host.repairs.taken()[..] else { panic!("one replay") };
    assert_eq!((order.run, &order.from), (run, &Beginning::Node("ask".to_owned())));
    assert_eq!((order.version, &order.dedupe_key), (Some(VersionChoice::Latest), &None));
    assert_eq!(by.reason.as_deref(), Some("again"));
}

#[tokio::test]
async fn a_dry_run_starts_nothing() {
    let host = host().await;
    let run = timed_out(&host).await;
    let body = json!({"from": "failed", "version": 3, "dry_run": true});
    let reply = replay(&host, &one(run), &body, None).await;
    assert_eq!((&reply.ok(200)["version"], reply.json.get("run")), (&json!(1), None));
    let [Asked::Plan(order)] = &host.repairs.taken()[..] else { panic!("only planned") };
    assert_eq!((&order.from, order.version), (&Beginning::Failed, Some(VersionChoice::Number(3))));
}

#[tokio::test]
async fn the_same_request_with_the_same_key_is_one_replay() {
    let host = host().await;
    let run = timed_out(&host).await;
    let body = json!({"from": "start"});
    let send =
        async |body: &Value, key| replay(&host, &one(run), body, key).await.ok(202)["run"].clone();
    let first = send(&body, Some("k")).await;
    assert_eq!(send(&body, Some("\"k\"")).await, first);
    assert_ne!(send(&body, Some("other")).await, first);
    assert_ne!(
        send(&json!({"from": "failed"}), Some("k")).await,
        first,
        "it is not what was asked"
    );
    assert_ne!(send(&body, None).await, first);
    let refused = replay(&host, &one(run), &body, Some("\"")).await;
    refused.problem(400, "idempotency-key-invalid");
}

#[tokio::test]
async fn a_wrong_replay_is_refused() {
    let host = host().await;
    let run = timed_out(&host).await;
    for (body, pointer) in [
        (json!({}), ""),
        (json!({"from": "middle"}), "/from"),
        (json!({"from": "start", "version": "old"}), "/version"),
        (json!({"from": "start", "version": 0}), "/version"),
        (json!({"from": "start", "states": []}), "/states"),
    ] {
        let refused = replay(&host, &one(run), &body, None).await;
        assert_eq!(refused.problem(422, "invalid-body")["pointer"], pointer, "{body}");
    }
    let body = json!({"from": {"node": "nope"}});
    host.repairs.refuse(run, || NoSuchNode("nope".to_owned()).into());
    let refused = replay(&host, &one(run), &body, None).await;
    assert_eq!(refused.problem(422, "invalid-body")["pointer"], "/from/node");
    host.repairs.refuse(run, || RepairError::NotEnded(RunState::Waiting));
    let refused = replay(&host, &one(run), &body, None).await;
    assert_eq!(refused.problem(409, "run-not-ended")["state"], "waiting");
}

fn field<'a>(answer: &'a Value, name: &str) -> Vec<&'a Value> {
    answer["runs"].as_array().unwrap().iter().map(|run| &run[name]).collect()
}

#[tokio::test]
async fn many_runs_are_replayed_page_by_page() {
    let host = host().await;
    started(&host).await;
    succeed(&host).await;
    let runs = [timed_out(&host).await, timed_out(&host).await, timed_out(&host).await];
    let body = json!({"filter": {"workflow": "flow"}, "from": "failed", "limit": 2, "rate": 1000});
    let first = replay(&host, MANY, &body, None).await;
    let answer = first.ok(200);
    assert_eq!(field(answer, "run"), [&json!(runs[2]), &json!(runs[1])]);
    assert_eq!(field(answer, "outcome"), ["replayed", "replayed"]);
    assert!(field(answer, "new").iter().all(|new| new.as_str().unwrap().starts_with("run_")));
    assert_eq!((&answer["replayed"], &answer["stopped"]), (&json!(2), &json!(null)));

    let mut rest = body.clone();
    rest["cursor"] = answer["next"].clone();
    let second = replay(&host, MANY, &rest, None).await;
    assert_eq!(field(second.ok(200), "run"), [&json!(runs[0])], "what succeeded is not repeated");
    assert_eq!(second.json["next"], json!(null));
}

#[tokio::test]
async fn a_dry_run_of_many_and_those_that_cannot_be() {
    let host = host().await;
    let (_old, new) = (timed_out(&host).await, timed_out(&host).await);
    host.repairs
        .refuse(new, || RepairError::NoPlan { code: "version-unusable", message: "no".to_owned() });
    let body = json!({"from": "start", "dry_run": true, "rate": 1});
    let answer = replay(&host, MANY, &body, None).await;
    assert_eq!(field(answer.ok(200), "outcome"), ["refused", "possible"]);
    assert_eq!(answer.json["runs"][0]["problem"]["code"], "version-unusable");
    assert_eq!(answer.json["runs"][1]["plan"]["takes_over"], json!(["deal"]));
    assert!(host.repairs.taken().iter().all(|asked| matches!(asked, Asked::Plan(_))));
}

#[tokio::test]
async fn a_wrong_filter_is_refused() {
    let host = host().await;
    for (body, pointer) in [
        (json!({"from": "start", "filter": {"states": ["running"]}}), "/filter/states"),
        (json!({"from": "start", "filter": {"states": ["done"]}}), "/filter/states/0"),
        (json!({"from": "start", "filter": {"state": "failed"}}), "/filter/state"),
        (json!({"from": "start", "limit": 0}), "/limit"),
        (json!({"filter": {}}), ""),
    ] {
        let refused = replay(&host, MANY, &body, None).await;
        assert_eq!(refused.problem(422, "invalid-body")["pointer"], pointer, "{body}");
    }
    let body = json!({"from": "start", "cursor": "AAAA"});
    replay(&host, MANY, &body, None).await.problem(400, "invalid-cursor");
}
