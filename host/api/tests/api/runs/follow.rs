//! `GET /api/v1/runs/{id}/events`

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tombolo_api::Settings;
use tombolo_core::id::RunId;
use tombolo_core::ports::intake::{Change, Progress};
use tombolo_core::run::{RunState, StepState};

use super::scene::{apply, host, started, succeed};
use crate::harness::{Call, Host, START};

/// What the next follower will be told; None for "you missed some".
fn script(host: &Host, run: RunId, changes: impl IntoIterator<Item = Option<Change>>) {
    let (sender, receiver) = mpsc::channel(8);
    let tenant = host.tenant;
    for change in changes {
        let progress = change.map(|change| Progress { tenant, run, change, at: START });
        sender.try_send(progress).unwrap();
    }
    host.intake.follows.lock().unwrap().push_back(receiver);
}

fn done(node: &str) -> Change {
    let state = StepState::Succeeded;
    Change::Step { node: node.to_owned(), item: 0, state, attempt: 1 }
}

/// Name, id and data of every event until the stream ends.
async fn events(host: &Host, run: RunId) -> Vec<(String, String, Value)> {
    let reply = host.get(&format!("/api/v1/runs/{run}/events")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    let field = |event: &str, name: &str| {
        let mut lines =
            event.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        lines.next().unwrap_or_default().to_owned()
    };
    let blocks = reply.text.split("\n\n").filter(|block| !block.is_empty());
    blocks
        .map(|block| {
            let data = serde_json::from_str(&field(block, "data")).unwrap();
            (field(block, "event"), field(block, "id"), data)
        })
        .collect()
}

#[tokio::test]
async fn a_run_is_followed_to_its_end() {
    let host = host().await;
    let run = started(&host).await;
    script(
        &host,
        run,
        [Some(done("n")), Some(Change::Run { state: RunState::Succeeded }), Some(done("late"))],
    );
    let events = events(&host, run).await;
    let names: Vec<_> = events.iter().map(|(name, id, _)| format!("{id} {name}")).collect();
    assert_eq!(names, ["0 snapshot", "1 step", "2 run"]);
    assert_eq!(events[0].2["state"], "queued");
    let at = "2026-09-21T14:13:20.000Z";
    assert_eq!(
        events[1].2,
        json!({"node": "n", "item": 0, "state": "succeeded", "attempt": 1, "at": at})
    );
    assert_eq!(events[2].2, json!({"state": "succeeded", "at": at}));
}

#[tokio::test]
async fn a_run_that_ended_is_a_snapshot() {
    let host = host().await;
    let run = started(&host).await;
    succeed(&host).await;
    let events = events(&host, run).await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0].2["state"], &events[0].2["output"]),
        (&json!("succeeded"), &json!({"ok": true}))
    );
}

#[tokio::test]
async fn who_missed_changes_gets_a_new_snapshot() {
    let host = host().await;
    let run = started(&host).await;
    script(&host, run, [Some(done("a")), None]);
    script(&host, run, [Some(Change::Run { state: RunState::Failed })]);
    let names: Vec<_> = events(&host, run).await.into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["snapshot", "step", "snapshot", "run"]);
}

#[tokio::test]
async fn a_stream_whose_source_is_gone_ends() {
    let host = host().await;
    let run = started(&host).await;
    // No script: every follower is told at once that it missed something.
    let names: Vec<_> = events(&host, run).await.into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["snapshot"; 4]);
}

#[tokio::test]
async fn followers_are_told_that_the_server_stops() {
    let host = host().await;
    let run = started(&host).await;
    // A source that stays open and says nothing more.
    let (sender, receiver) = mpsc::channel(1);
    host.intake.follows.lock().unwrap().push_back(receiver);
    host.stopping.cancel();
    let names: Vec<_> = events(&host, run).await.into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["snapshot", "stopping"]);
    drop(sender);
}

#[tokio::test]
async fn followers_are_bounded() {
    let host = Host::with(Settings { max_followers: 0, ..Settings::default() }).await;
    apply(&host, "flow").await;
    let run = started(&host).await;
    let refused = host.call(Call::new("GET", &format!("/api/v1/runs/{run}/events"))).await;
    refused.problem(503, "too-many-followers");
    assert!(refused.header("retry-after").is_some());
}
