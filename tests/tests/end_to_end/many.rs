//! Repairs of many runs at once.

use anyhow::ensure;
use serde_json::{Value, json};
use tombolo_tests::Misbehaviour;
use tombolo_tests::host::poll;

use crate::scene::{Scene, create_task};

const RUNS: usize = 3;

/// Runs that failed at their only step, which did nothing.
async fn failed() -> anyhow::Result<Scene> {
    let scene = Scene::start().await?;
    scene.apply("work", json!({"task": create_task("task ${ .trigger.n }")})).await?;
    scene.asana.misbehave(Misbehaviour::Status { status: 400 }.times(RUNS as u32));
    for n in 0..RUNS {
        scene.host.run_to_end("work", &json!({"n": n})).await?.is("failed", &[("task", "dead")])?;
    }
    Ok(scene)
}

async fn redrive(scene: &Scene, more: Value) -> anyhow::Result<Value> {
    let mut body = json!({"filter": {"workflow": "work"}});
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    scene.host.post("/dead-letters/redrive", &body).await?.expect(200)
}

fn outcomes(answer: &Value) -> Vec<&str> {
    let runs = answer["runs"].as_array().into_iter().flatten();
    runs.map(|run| run["outcome"].as_str().unwrap_or_default()).collect()
}

async fn all_succeed(scene: &Scene, count: usize) -> anyhow::Result<()> {
    poll("all runs to succeed", async || {
        let done = scene.host.runs("workflow=work&state=succeeded").await?;
        Ok((done.len() == count).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_fails_again_saves_the_others() -> anyhow::Result<()> {
    let scene = failed().await?;
    let look = redrive(&scene, json!({"dry_run": true})).await?;
    ensure!(outcomes(&look) == ["possible"; RUNS], "{look:#}");
    ensure!(scene.asana.calls().len() == RUNS, "a dry run has called");

    scene.asana.misbehave(Misbehaviour::Status { status: 400 });
    let warned = redrive(&scene, json!({"canary": 1})).await?;
    ensure!(outcomes(&warned) == ["redriven", "not-tried", "not-tried"], "{warned:#}");
    ensure!(!warned["stopped"].is_null() && warned["runs"][0]["ended"] == "failed", "{warned:#}");
    ensure!(scene.asana.calls().len() == RUNS + 1, "the others were called");

    let began = tokio::time::Instant::now();
    let mended = redrive(&scene, json!({"canary": 1, "rate": 2})).await?;
    ensure!(outcomes(&mended) == ["redriven"; RUNS] && mended["stopped"].is_null(), "{mended:#}");
    // The second of them waits half a second for its turn, and so does the third.
    ensure!(began.elapsed().as_millis() >= 1_000, "too fast: {:?}", began.elapsed());
    all_succeed(&scene, RUNS).await?;
    ensure!(scene.task_names().len() == RUNS, "{:?}", scene.task_names());
    let rest = redrive(&scene, json!({})).await?;
    ensure!(outcomes(&rest).is_empty(), "{rest:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_runs_are_replayed_on_the_version_that_mends_them() -> anyhow::Result<()> {
    let scene = failed().await?;
    scene.apply("work", json!({"task": create_task("mended ${ .trigger.n }")})).await?;
    let body = json!({
        "filter": {"workflow": "work"}, "from": "start", "version": "latest", "rate": 100,
    });
    let replay = || {
        let request =
            scene.host.request("POST", "/api/v1/runs/replay").header("idempotency-key", "once");
        scene.host.answer(request.json(&body))
    };
    let answer = replay().await?.expect(200)?;
    ensure!(answer["replayed"] == RUNS && answer["refused"] == 0, "{answer:#}");
    // Sent again, as after a lost answer, it starts nothing more.
    let again = replay().await?.expect(200)?;
    ensure!(again["runs"][0]["new"] == answer["runs"][0]["new"], "{again:#}");
    all_succeed(&scene, RUNS).await?;
    let mut names = scene.task_names();
    names.sort_unstable();
    ensure!(names == ["mended 0", "mended 1", "mended 2"], "{names:?}");
    for run in answer["runs"].as_array().into_iter().flatten() {
        let new = scene.host.run(run["new"].as_str().unwrap_or_default()).await?;
        ensure!(new.0["replay_of"] == run["run"], "{new}");
    }
    Ok(())
}
