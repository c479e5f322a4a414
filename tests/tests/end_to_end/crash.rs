//! SIGKILL at the worst moments. What is counted is counted at the stand-ins, which survive.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tombolo_tests::host::poll;
use tombolo_tests::standin::Call;
use tombolo_tests::{Host, HostOptions, Misbehaviour};

use crate::scene::{Scene, create_task, get_deal, quick_retry, with};

#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_call_under_way_is_unknown_and_what_was_done_stays_done() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let first = with(create_task("first"), json!({"retry": quick_retry(5)}));
    let second = with(create_task("second"), json!({"after": ["first"], "retry": quick_retry(5)}));
    let nodes = json!({"deal": get_deal(), "first": with(first, json!({"after": ["deal"]})), "second": second});
    scene.apply("chain", nodes).await?;
    // One chain is cut before the other side has worked, one after.
    for (misbehaviour, tasks) in [
        (Misbehaviour::Hang, vec!["first"]),
        (Misbehaviour::HangAfterWork, vec!["first", "second"]),
    ] {
        scene.hubspot.reset();
        scene.asana.reset();
        // The first task is created as usual, the second hangs.
        scene.asana.misbehave(Misbehaviour::Delay { delay_ms: 0 });
        scene.asana.misbehave(misbehaviour);
        let run = scene.host.start_run("chain", &json!({})).await?;
        scene.asana.wait_for(|calls| calls.len() == 2).await?;
        scene.host.kill().await?;
        scene.host.restart().await?;

        let run = scene.host.ended(&run).await?;
        let states = [("deal", "succeeded"), ("first", "succeeded"), ("second", "unknown")];
        run.is("failed", &states)?;
        let second = run.step("second")?;
        ensure!((second.error_code(), second.attempts()) == ("worker-lost", 1), "{run}");
        ensure!(scene.hubspot.calls().len() == 1, "a finished step was run again\n{run}");
        ensure!(scene.asana.calls().len() == 2, "an unsafe call was repeated\n{run}");
        ensure!(scene.task_names() == tasks, "{:?}\n{run}", scene.task_names());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_repeated_is_repeated_with_the_same_key() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    scene.asana.honour_idempotency_keys(true);
    let task = with(create_task("once"), json!({"after": ["deal"], "effect": "keyed"}));
    scene.apply("keyed", json!({"deal": get_deal(), "task": task})).await?;
    scene.asana.misbehave(Misbehaviour::HangAfterWork);
    scene.hubspot.misbehave(Misbehaviour::Hang);
    // Killed twice: while it reads, and while it writes after the work was done.
    let run = scene.host.start_run("keyed", &json!({})).await?;
    scene.hubspot.wait_for(|calls| calls.len() == 1).await?;
    scene.host.restart().await?;
    scene.asana.wait_for(|calls| calls.iter().any(|call| call.performed)).await?;
    scene.host.restart().await?;

    let run = scene.host.ended(&run).await?;
    run.is("succeeded", &[("deal", "succeeded"), ("task", "succeeded")])?;
    let keys: BTreeSet<_> =
        scene.asana.calls().into_iter().map(|call| call.idempotency_key).collect();
    ensure!(keys.len() == 1 && !keys.contains(&None), "{keys:?}\n{run}");
    ensure!(scene.task_names() == ["once"] && scene.asana.duplicates() == 0, "{run}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_keeps_its_due_time() -> anyhow::Result<()> {
    const WAIT_S: u64 = 3;
    let scene = Scene::start().await?;
    let task = with(create_task("late"), json!({"after": ["deal"]}));
    scene.apply("waits", json!({"deal": get_deal(), "task": task})).await?;
    scene.asana.misbehave(Misbehaviour::RateLimit { retry_after_s: WAIT_S });
    let run = scene.host.start_run("waits", &json!({})).await?;
    let before = scene.host.run_when(&run, "the wait", |run| run.state() == "waiting").await?;
    scene.host.kill().await?;
    scene.host.restart().await?;
    let after = scene.host.run(&run).await?;
    after.is("waiting", &[("task", "waiting")])?;
    ensure!(before.step("task")?.0["due_at"] == after.step("task")?.0["due_at"], "{before}{after}");
    ensure!(before.0["available_at"] == after.0["available_at"], "{before}{after}");

    let run = scene.host.ended(&run).await?;
    run.is("succeeded", &[("task", "succeeded")])?;
    let calls = scene.asana.calls();
    ensure!(calls.len() == 2 && scene.hubspot.calls().len() == 1, "{run}");
    let waited_ms = calls[1].at_unix_ms - calls[0].at_unix_ms;
    ensure!(waited_ms >= 1_000 * WAIT_S as i64, "it came back after {waited_ms} ms\n{run}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_to_be_cancelled_is_cancelled_after_the_crash() -> anyhow::Result<()> {
    let scene = Scene::start_with(HostOptions::new().set("engine.concurrent_runs", 1)).await?;
    scene.apply("read", json!({"deal": get_deal()})).await?;
    scene.hubspot.misbehave(Misbehaviour::Hang);
    scene.host.start_run("read", &json!({})).await?;
    scene.hubspot.wait_for(|calls| calls.len() == 1).await?;
    let queued = scene.host.start_run("read", &json!({})).await?;
    scene.host.post(&format!("/runs/{queued}/cancel"), &json!({})).await?.expect(202)?;
    scene.host.restart().await?;
    scene.host.ended(&queued).await?.is("cancelled", &[])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_runs_finish_and_leaves_the_rest_for_the_next_start() -> anyhow::Result<()> {
    let scene = Scene::start_with(HostOptions::new().set("server.drain_timeout_ms", 1_500)).await?;
    scene.apply("read", json!({"deal": get_deal()})).await?;
    scene.hubspot.misbehave(Misbehaviour::Delay { delay_ms: 300 });
    scene.hubspot.misbehave(Misbehaviour::Hang);
    let quick = scene.host.start_run("read", &json!({})).await?;
    scene.hubspot.wait_for(|calls| calls.len() == 1).await?;
    let slow = scene.host.start_run("read", &json!({})).await?;
    scene.hubspot.wait_for(|calls| calls.len() == 2).await?;
    scene.host.stop().await?;
    scene.host.restart().await?;
    scene.host.ended(&quick).await?.is("succeeded", &[])?;
    scene.host.ended(&slow).await?.is("succeeded", &[])?;
    ensure!(scene.hubspot.calls().len() == 3, "the run that was done is called again");
    Ok(())
}

/// A sender as there are many: it sends an event again until it is told that it was taken.
async fn send_until_taken(host: &Host, number: usize) -> anyhow::Result<Value> {
    poll("an event to be taken", async || {
        // No answer, or one that says "later": the process may be dead at this moment.
        match host.deliver("load", &json!({"id": number})).await {
            Ok(answer) if answer.status == 202 => Ok(Some(answer.json())),
            Ok(_) | Err(_) => Ok(None),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_load_lose_nothing_and_double_nothing() -> anyhow::Result<()> {
    const EVENTS: usize = 240;
    const SENDERS: usize = 16;
    const KILLS: usize = 4;
    let scene = Scene::start().await?;
    scene.asana.honour_idempotency_keys(true);
    let task = json!({"after": ["deal"], "effect": "keyed", "with": {
        "name": "event ${ .trigger.id }", "workspace": tombolo_tests::asana::WORKSPACE_GID
    }});
    let file = json!({
        "name": "load",
        "triggers": {"event": {"webhook": {"path": "load", "verify": "none", "dedupe": "${ .id }"}}},
        "nodes": {
            "deal": get_deal(),
            "task": with(with(create_task(""), task), json!({"retry": quick_retry(20)})),
        }
    });
    scene.host.apply(&file).await?;
    let sending = stream::iter(0..EVENTS)
        .map(async |number| send_until_taken(&scene.host, number).await)
        .buffer_unordered(SENDERS)
        .collect::<Vec<_>>();
    let killing = async {
        for kill in 1..=KILLS {
            // Spread over the work, each in the middle of it.
            let worked = EVENTS * kill / (KILLS + 1);
            let performed = |calls: &[Call]| calls.iter().filter(|call| call.performed).count();
            scene.asana.wait_for(|calls| performed(calls) >= worked).await?;
            scene.host.kill().await?;
            scene.host.restart().await?;
        }
        anyhow::Ok(())
    };
    let (taken, killed) = tokio::join!(sending, killing);
    killed?;
    let taken = taken.into_iter().collect::<anyhow::Result<Vec<_>>>()?;

    // Every event that was acknowledged ends well, under the id that was told.
    for answer in &taken {
        let run = answer["runs"][0].as_str().with_context(|| answer.to_string())?;
        scene.host.ended(run).await?.is("succeeded", &[("task", "succeeded")])?;
    }
    let told: BTreeSet<_> = taken.iter().map(|answer| answer["runs"][0].to_string()).collect();
    let on_record = scene.host.all_runs("").await?.len();
    ensure!(told.len() == EVENTS && on_record == EVENTS, "{} told, {on_record} runs", told.len());

    // Lost 0, doubled 0.
    let mut names = scene.task_names();
    ensure!(scene.asana.duplicates() == 0, "{} keys worked twice", scene.asana.duplicates());
    ensure!(names.len() == EVENTS, "{} tasks for {EVENTS} events", names.len());
    names.sort();
    names.dedup();
    ensure!(names.len() == EVENTS, "an event has two tasks");
    Ok(())
}
