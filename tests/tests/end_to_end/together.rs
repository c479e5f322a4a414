//! Workflows that work together: one calls another, tells a fact that a third one listens to, and
//! fails, which a fourth one is told.

use anyhow::ensure;
use serde_json::json;
use tombolo_tests::Misbehaviour;
use tombolo_tests::host::poll;

use crate::scene::{Scene, create_task, get_deal, with};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_an_event_and_a_failure_each_start_one_run() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    scene
        .apply("bill", json!({"sum": {"use": "set", "with": {"total": "${ .trigger.n }"}}}))
        .await?;
    let listen = |name: &str, trigger, task: &str| json!({"name": name, "triggers": {"on": trigger}, "nodes": {"note": create_task(task)}});
    let placed = json!({"event": {"name": "order.placed.v1"}});
    scene.host.apply(&listen("on-placed", placed, "placed ${ .trigger.id }")).await?;
    let failure = json!({"failure": {"workflows": ["order"]}});
    scene.host.apply(&listen("on-failure", failure, "alarm of ${ .trigger.workflow }")).await?;
    let nodes = json!({
        "bill": {"use": "workflow", "with": {"name": "bill", "input": {"n": "${ .trigger.n }"}}},
        "tell": {"use": "publish", "after": ["bill"],
                 "with": {"event": "order.placed.v1", "data": {"id": "${ .steps.bill.total }"}}},
        "ship": with(get_deal(), json!({"after": ["tell"]})),
    });
    scene.apply("order", nodes).await?;
    scene.hubspot.misbehave(Misbehaviour::Status { status: 400 });

    let run = scene.host.run_to_end("order", &json!({"n": 7})).await?;
    run.is("failed", &[("bill", "succeeded"), ("tell", "succeeded"), ("ship", "dead")])?;
    ensure!(*run.step("bill")?.output() == json!({"total": 7}), "{run}");
    // Their ends and not only their calls: a process that dies between a call and the record of its
    // answer cannot know whether it took effect, and says so.
    for workflow in ["on-placed", "on-failure"] {
        let listener = poll("a listener's run", async || {
            Ok(scene.host.runs(&format!("workflow={workflow}")).await?.first().cloned())
        });
        let id = listener.await?["id"].as_str().unwrap_or_default().to_owned();
        scene.host.ended(&id).await?.is("succeeded", &[])?;
    }

    // Nothing of it happens again with the next process.
    scene.host.restart().await?;
    for workflow in ["bill", "on-placed", "on-failure"] {
        let runs = scene.host.runs(&format!("workflow={workflow}")).await?;
        let id = runs[0]["id"].as_str().unwrap_or_default();
        scene.host.ended(id).await?.is("succeeded", &[])?;
        ensure!(runs.len() == 1, "{workflow}: {runs:#?}");
    }
    let mut names = scene.task_names();
    names.sort_unstable();
    ensure!(names == ["alarm of order", "placed 7"], "{names:?}");
    Ok(())
}
