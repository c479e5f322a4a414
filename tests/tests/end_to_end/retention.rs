//! How long runs are kept.

use anyhow::ensure;
use serde_json::json;
use tombolo_tests::host::poll;
use tombolo_tests::{HostOptions, Misbehaviour};

use crate::scene::{Scene, get_deal};

#[tokio::test(flavor = "multi_thread")]
async fn old_runs_are_forgotten_but_for_those_that_wait_for_a_person() -> anyhow::Result<()> {
    let options = HostOptions::new().set("engine.housekeeping_seconds", 1);
    let scene = Scene::start_with(options).await?;
    let file = json!({"name": "brief", "retention": "2s", "nodes": {"deal": get_deal()}});
    scene.host.apply(&file).await?;
    scene.apply("kept", json!({"deal": get_deal()})).await?;
    scene.hubspot.misbehave(Misbehaviour::Status { status: 400 });
    let dead = scene.host.run_to_end("brief", &json!({})).await?;
    dead.is("failed", &[("deal", "dead")])?;
    let kept = scene.host.run_to_end("kept", &json!({})).await?;
    let gone = scene.host.run_to_end("brief", &json!({})).await?;
    gone.is("succeeded", &[])?;

    // The last one goes, and the older ones are still there.
    let path = format!("/runs/{}", gone.id());
    poll("the run to be forgotten", async || {
        Ok((scene.host.get(&path).await?.status == 404).then_some(()))
    })
    .await?;
    for run in [&dead, &kept] {
        scene.host.run(run.id()).await?.is(run.state(), &[("deal", run.state_of("deal"))])?;
    }
    let letters = scene.host.get("/dead-letters").await?.expect(200)?;
    ensure!(letters["items"][0]["run"] == dead.id(), "{letters:#}");

    // Given up, it goes, too.
    let said = ["dead-letter", "discard", dead.id(), "deal", "--reason", "gone"];
    scene.host.tombolo(&said).await?.expect(0)?;
    let path = format!("/runs/{}", dead.id());
    poll("the other one to be forgotten", async || {
        Ok((scene.host.get(&path).await?.status == 404).then_some(()))
    })
    .await?;
    ensure!(scene.host.runs("").await?.len() == 1, "only what is kept for ever is left");
    Ok(())
}
