//! Processes that do a part each, and processes that come and go.

use anyhow::ensure;
use jiff::Timestamp;
use serde_json::json;

use crate::cluster::{Cluster, Size};

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_an_answer_gets_it_from_a_run_that_another_process_works_on()
-> anyhow::Result<()> {
    let cluster = Cluster::start(Size { workers: 1 }).await?;
    let on = json!({"path": "double", "verify": "none", "respond": "result"});
    let double = json!({"use": "data.map", "with": {
        "input": "${ .trigger }", "program": "{id: (.id * 2)}"
    }});
    let workflow = json!({"name": "double", "triggers": {"event": {"webhook": on}}, "nodes": {"work": double}});
    cluster.front.apply(&workflow).await?;
    let answer = cluster.front.deliver("double", &json!({"id": 21})).await?.expect(200)?;
    ensure!(answer["id"] == 42, "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_answers_no_api_and_works_all_the_same() -> anyhow::Result<()> {
    let cluster = Cluster::start(Size { workers: 1 }).await?;
    let worker = &cluster.workers[0].host;
    // The worker answers no API; its health is open to everybody.
    let refused = worker.get("/runs").await?;
    ensure!(refused.status == 404, "{} from a worker", refused.status);
    cluster.load.send(&cluster.front, 0..20).await?;
    cluster.load.check(&cluster.front).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_come_and_go_under_load_and_give_back_what_they_have() -> anyhow::Result<()> {
    const EVENTS: usize = 40;
    let cluster = Cluster::start(Size { workers: 2 }).await?;
    let rolling = async {
        for (time, worker) in cluster.workers.iter().enumerate() {
            cluster.load.wait_for_taken((time + 1) * EVENTS).await?;
            worker.host.stop().await?;
            worker.host.restart().await?;
        }
        anyhow::Ok(Timestamp::now())
    };
    let ((), last) = tokio::try_join!(cluster.load.send(&cluster.front, 0..3 * EVENTS), rolling)?;
    let counts = cluster.check(last).await?;
    ensure!(counts.contains(", 0 runs unknown"), "a stop is no crash: {counts}");
    crate::tell(&format!("shared: both workers replaced, {counts}"));
    Ok(())
}
