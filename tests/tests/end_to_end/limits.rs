//! What a workflow's `limits` let go at the same time. What overlapped is what the stand-in saw.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::ensure;
use serde_json::{Value, json};
use tombolo_tests::Misbehaviour;
use tombolo_tests::standin::Call;

use crate::scene::{Scene, create_task};

/// Calls under way whose task has such a name.
fn under_way(calls: &[Call], customer: &str) -> usize {
    let of = |call: &&Call| {
        let name = call.json()["data"]["name"].as_str().unwrap_or_default().to_owned();
        call.status.is_none() && name.starts_with(customer)
    };
    calls.iter().filter(of).count()
}

async fn limited(limits: Value) -> anyhow::Result<Scene> {
    let scene = Scene::start().await?;
    let task = create_task("${ .trigger.customer } ${ .trigger.n }");
    let file = json!({"name": "work", "limits": limits, "nodes": {"task": task}});
    scene.host.apply(&file).await?;
    scene.asana.misbehave(Misbehaviour::Delay { delay_ms: 150 }.times(4));
    Ok(scene)
}

/// Starts three runs of one customer and one of another; the most that were under way of the first
/// and of both, when all are done.
async fn most(scene: &Scene) -> anyhow::Result<(usize, usize)> {
    let mut runs = Vec::new();
    for (customer, n) in [("ada", 1), ("ada", 2), ("ada", 3), ("bob", 4)] {
        runs.push(scene.host.start_run("work", &json!({"customer": customer, "n": n})).await?);
    }
    let (of_ada, of_both) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let all_answered = |calls: &[Call]| {
        let (ada, bob) = (under_way(calls, "ada"), under_way(calls, "bob"));
        of_ada.fetch_max(ada, Ordering::Relaxed);
        of_both.fetch_max(ada + bob, Ordering::Relaxed);
        calls.iter().filter(|call| call.status.is_some()).count() == 4
    };
    scene.asana.wait_for(all_answered).await?;
    for run in runs {
        scene.host.ended(&run).await?.is("succeeded", &[("task", "succeeded")])?;
    }
    Ok((of_ada.into_inner(), of_both.into_inner()))
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_one_key_go_in_their_order_and_others_beside_them() -> anyhow::Result<()> {
    let scene = limited(json!({"order": {"key": "${ .trigger.customer }"}})).await?;
    ensure!(most(&scene).await? == (1, 2));
    let mut names = scene.task_names();
    names.retain(|name| name.starts_with("ada"));
    ensure!(names == ["ada 1", "ada 2", "ada 3"], "{names:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_runs_go_at_once_than_the_workflow_allows() -> anyhow::Result<()> {
    let scene = limited(json!({"concurrency": [{"runs": 2}]})).await?;
    let (_, of_both) = most(&scene).await?;
    ensure!(of_both == 2, "{of_both} at once");
    Ok(())
}
