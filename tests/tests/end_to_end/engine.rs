//! Branches, joins, failures, retries, time and cancel. What overlapped and what came first is
//! proved by the stand-ins' records, never by a clock of the test.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tombolo_tests::standin::Call;
use tombolo_tests::{HostOptions, Misbehaviour};

use crate::scene::{Scene, create_task, get_deal, quick_retry, with};

fn after(node: Value, upstream: &[&str]) -> Value {
    with(node, json!({ "after": upstream }))
}

/// A step that does nothing but come to an end.
fn set(upstream: &[&str]) -> Value {
    json!({"use": "set", "after": upstream, "with": {"done": true}})
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_run_side_by_side() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let (left, right) = (get_deal(), get_deal());
    scene
        .apply("both", json!({"left": left, "right": right, "joined": set(&["left", "right"])}))
        .await?;
    // Each answer is late; both calls are there before the first answer goes.
    scene.hubspot.misbehave(Misbehaviour::Delay { delay_ms: 300 }.times(2));
    let run = scene.host.start_run("both", &json!({})).await?;
    let unanswered = |calls: &[Call]| calls.iter().filter(|call| call.status.is_none()).count();
    scene.hubspot.wait_for(|calls| unanswered(calls) == 2).await?;
    scene.host.ended(&run).await?.is("succeeded", &[("joined", "succeeded")])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_waits_for_all_or_for_the_first() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let slow = json!({"use": "hubspot.get-contact", "connection": "hubspot",
                      "with": {"id": tombolo_tests::hubspot::SEED_CONTACT_ID.to_string()}});
    let all = after(create_task("all"), &["fast", "slow"]);
    let any = with(after(create_task("any"), &["fast", "slow"]), json!({"join": "any"}));
    scene.apply("joins", json!({"fast": get_deal(), "slow": slow, "all": all, "any": any})).await?;
    scene.hubspot.misbehave(Misbehaviour::Delay { delay_ms: 700 }.on("GET", "/contacts"));
    let run = scene.host.start_run("joins", &json!({})).await?;

    // `any` has done its work while the slow branch has no answer yet.
    scene.asana.wait_for(|calls| calls.iter().any(|call| call.performed)).await?;
    ensure!(scene.task_names() == ["any"], "{:?}", scene.task_names());
    let slow = scene.hubspot.calls().into_iter().find(|call| call.path.contains("/contacts/"));
    ensure!(slow.context("the slow branch was not called")?.status.is_none());

    let run = scene.host.ended(&run).await?;
    run.is("succeeded", &[("slow", "succeeded"), ("all", "succeeded"), ("any", "succeeded")])?;
    ensure!(scene.task_names() == ["any", "all"], "{:?}", scene.task_names());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_dead_path_leads_to_is_skipped() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let tier = json!({"use": "switch", "with": {
        "ports": {"large": "${ .trigger.amount > 10 }"}, "else": "small"
    }});
    let nodes = json!({
        "tier": tier,
        "large": after(create_task("large"), &["tier.large"]),
        "small": after(create_task("small"), &["tier.small"]),
        "after_large": set(&["large"]),
        "both": set(&["large", "small"]),
        "never": with(set(&["both"]), json!({"when": "${ .steps.both == null }"})),
    });
    scene.apply("tiers", nodes).await?;
    let run = scene.host.run_to_end("tiers", &json!({"amount": 3})).await?;
    let states = [
        ("large", "skipped"),
        ("after_large", "skipped"),
        ("small", "succeeded"),
        ("both", "succeeded"),
        ("never", "skipped"),
    ];
    run.is("succeeded", &states)?;
    ensure!(scene.task_names() == ["small"]);
    ensure!(run.step("tier")?.0["ports"] == json!(["small"]), "{run}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_edge_carries_the_error() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let missing = with(get_deal(), json!({"with": {"id": "404404404"}}));
    let nodes = json!({
        "deal": missing,
        "found": set(&["deal"]),
        "missed": {"use": "set", "after": ["deal.error"],
                   "with": {"code": "${ .errors.deal.code }", "class": "${ .errors.deal.class }"}},
        "other": create_task("an independent branch"),
    });
    scene.apply("missing", nodes).await?;
    let run = scene.host.run_to_end("missing", &json!({})).await?;
    let states =
        [("deal", "dead"), ("found", "skipped"), ("missed", "succeeded"), ("other", "succeeded")];
    run.is("succeeded", &states)?;
    let told = run.step("missed")?.output();
    ensure!(told["class"] == "not-found", "{run}");
    ensure!(told["code"] == run.step("deal")?.error_code(), "{run}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_nobody_handles_fails_the_run_after_the_other_branches() -> anyhow::Result<()>
{
    let scene = Scene::start().await?;
    let missing = with(get_deal(), json!({"with": {"id": "404404404"}}));
    let nodes = json!({
        "deal": missing, "then": set(&["deal"]),
        "other": create_task("other"), "last": after(create_task("last"), &["other"]),
    });
    scene.apply("missing", nodes).await?;
    scene.asana.misbehave(Misbehaviour::Delay { delay_ms: 200 });
    let run = scene.host.run_to_end("missing", &json!({})).await?;
    run.is("failed", &[("deal", "dead"), ("then", "pending"), ("last", "succeeded")])?;
    ensure!(run.step("deal")?.attempts() == 1, "what will not pass is not tried again\n{run}");
    ensure!(run.0["error"]["code"] == run.step("deal")?.error_code(), "{run}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_may_be_passed_over() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let missing = with(get_deal(), json!({"with": {"id": "1"}, "on_error": "continue"}));
    let then = json!({"use": "set", "after": ["deal"], "with": {
        "deal": "${ .steps.deal }", "why": "${ .errors.deal.class }"
    }});
    scene.apply("lenient", json!({"deal": missing, "then": then})).await?;
    let run = scene.host.run_to_end("lenient", &json!({})).await?;
    run.is("succeeded", &[("deal", "dead"), ("then", "succeeded")])?;
    ensure!(run.step("then")?.output() == &json!({"deal": null, "why": "not-found"}), "{run}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_and_every_attempt_is_on_record() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    scene
        .apply("deal", json!({"deal": with(get_deal(), json!({"retry": quick_retry(3)}))}))
        .await?;
    scene.hubspot.misbehave(Misbehaviour::Status { status: 500 });
    scene.hubspot.misbehave(Misbehaviour::CloseBeforeWork);
    let run = scene.host.run_to_end("deal", &json!({})).await?;
    run.is("succeeded", &[("deal", "succeeded")])?;
    let deal = run.step("deal")?;
    ensure!(deal.attempts() == 3 && deal.0["error"].is_null(), "{run}");
    let record: Vec<_> = deal
        .calls()
        .iter()
        .map(|call| (call["attempt"].as_u64(), call["status"].as_u64()))
        .collect();
    ensure!(record == [(Some(1), Some(500)), (Some(2), None), (Some(3), Some(200))], "{run}");
    ensure!(deal.calls()[1]["error"].is_string(), "{run}");
    ensure!(scene.hubspot.calls().len() == 3);

    // When the attempts are spent, the step is dead.
    scene.hubspot.misbehave(Misbehaviour::Status { status: 503 }.times(10));
    let run = scene.host.run_to_end("deal", &json!({})).await?;
    run.is("failed", &[("deal", "dead")])?;
    let deal = run.step("deal")?;
    ensure!((deal.attempts(), deal.error_code()) == (3, "http-503"), "{run}");
    ensure!(scene.hubspot.calls().len() == 6);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_obeyed_and_costs_no_attempt() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let once = with(create_task("polite"), json!({"retry": {"attempts": 1}}));
    scene.apply("polite", json!({"task": once})).await?;
    scene.asana.misbehave(Misbehaviour::RateLimit { retry_after_s: 1 }.times(2));
    let run = scene.host.start_run("polite", &json!({})).await?;
    // The run holds no worker while it waits: it is parked, and says until when.
    let parked = scene.host.run_when(&run, "the wait", |run| run.state() == "waiting").await?;
    parked.is("waiting", &[("task", "waiting")])?;
    ensure!(parked.step("task")?.0["due_at"].is_string(), "{parked}");
    ensure!(parked.0["available_at"] == parked.step("task")?.0["due_at"], "{parked}");

    let run = scene.host.ended(&run).await?;
    run.is("succeeded", &[("task", "succeeded")])?;
    let calls = scene.asana.calls();
    ensure!(calls.len() == 3 && scene.task_names() == ["polite"], "{run}");
    for pair in calls.windows(2) {
        let waited_ms = pair[1].at_unix_ms - pair[0].at_unix_ms;
        ensure!(waited_ms >= 1_000, "it was called again after {waited_ms} ms\n{run}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_never_answers_ends_in_the_nodes_timeout() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let read = with(get_deal(), json!({"timeout": "300ms", "retry": quick_retry(2)}));
    scene.apply("read", json!({"deal": read})).await?;
    scene.hubspot.misbehave(Misbehaviour::Hang.times(2));
    let run = scene.host.run_to_end("read", &json!({})).await?;
    run.is("failed", &[("deal", "dead")])?;
    let deal = run.step("deal")?;
    ensure!((deal.attempts(), deal.error_class()) == (2, "transient"), "{run}");
    ensure!(deal.error_message().contains("not complete in time"), "{run}");

    let write = with(create_task("lost"), json!({"timeout": "300ms", "retry": quick_retry(5)}));
    scene.apply("write", json!({"task": write})).await?;
    scene.asana.misbehave(Misbehaviour::HangAfterWork);
    let run = scene.host.run_to_end("write", &json!({})).await?;
    run.is("failed", &[("task", "unknown")])?;
    ensure!(run.step("task")?.error_class() == "unknown-outcome", "{run}");
    ensure!(scene.asana.calls().len() == 1, "an unsafe call was repeated\n{run}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_call_whose_answer_is_lost_is_never_repeated() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let write = with(create_task("once"), json!({"retry": quick_retry(5)}));
    let nodes = json!({"task": write, "then": set(&["task"]), "handler": set(&["task.error"])});
    scene.apply("write", nodes).await?;
    let lost =
        [Misbehaviour::CloseAfterWork, Misbehaviour::CloseBeforeWork, Misbehaviour::CloseMidBody];
    for (at, misbehaviour) in lost.into_iter().enumerate() {
        scene.asana.misbehave(misbehaviour);
        let run = scene.host.run_to_end("write", &json!({})).await?;
        // An error edge is no way round it: whether to go on is for a person to say.
        run.is("failed", &[("task", "unknown"), ("then", "pending"), ("handler", "pending")])?;
        let task = run.step("task")?;
        ensure!((task.attempts(), task.error_class()) == (1, "unknown-outcome"), "{run}");
        ensure!(scene.asana.calls().len() == at + 1, "an unsafe call was repeated\n{run}");
    }

    // An answer is a result: 500 says that nothing was done, so it is tried again.
    scene.asana.misbehave(Misbehaviour::Status { status: 500 });
    let run = scene.host.run_to_end("write", &json!({})).await?;
    run.is("succeeded", &[("task", "succeeded"), ("handler", "skipped")])?;
    ensure!(run.step("task")?.attempts() == 2, "{run}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_other_side_knows_keys_a_lost_answer_is_asked_for_again() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    scene.asana.honour_idempotency_keys(true);
    let keyed = json!({"effect": "keyed", "retry": quick_retry(4)});
    scene.apply("keyed", json!({"task": with(create_task("once"), keyed)})).await?;
    scene.asana.misbehave(Misbehaviour::CloseAfterWork);
    scene.asana.misbehave(Misbehaviour::CloseMidBody);
    let run = scene.host.run_to_end("keyed", &json!({})).await?;
    run.is("succeeded", &[("task", "succeeded")])?;
    ensure!(run.step("task")?.attempts() == 3, "{run}");

    let calls = scene.asana.calls();
    let key = calls[0].idempotency_key.as_deref().context("no Idempotency-Key")?;
    ensure!(
        calls.len() == 3 && calls.iter().all(|call| call.idempotency_key.as_deref() == Some(key))
    );
    ensure!(scene.task_names() == ["once"] && scene.asana.duplicates() == 0);
    let on_record = run.step("task")?.calls();
    ensure!(on_record.iter().all(|call| call["idempotency_key"] == key), "{run}");

    // Another run is another key.
    scene.host.run_to_end("keyed", &json!({})).await?.is("succeeded", &[])?;
    ensure!(scene.task_names() == ["once", "once"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_at_its_timeout_whatever_it_does() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let waits = with(create_task("waits"), json!({"retry": {"attempts": 9}}));
    for (name, node) in [("calls", get_deal()), ("waits", waits)] {
        let file = json!({"name": name, "timeout": "600ms", "nodes": {"first": node, "then": set(&["first"])}});
        scene.host.apply(&file).await?;
    }
    scene.hubspot.misbehave(Misbehaviour::Hang);
    let run = scene.host.run_to_end("calls", &json!({})).await?;
    run.is("cancelled", &[("first", "cancelled"), ("then", "cancelled")])?;
    ensure!(run.0["error"]["code"] == "run-timeout", "{run}");

    // One that is parked for an hour is not forgotten.
    scene.asana.misbehave(Misbehaviour::RateLimit { retry_after_s: 3_600 });
    let run = scene.host.run_to_end("waits", &json!({})).await?;
    run.is("cancelled", &[("first", "cancelled")])?;
    ensure!(run.0["error"]["code"] == "run-timeout", "{run}");
    ensure!(scene.asana.calls().len() == 1);
    Ok(())
}

async fn cancel(scene: &Scene, run: &str) -> anyhow::Result<()> {
    let answer = scene.host.post(&format!("/runs/{run}/cancel"), &json!({})).await?;
    answer.expect(202).map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_while_it_calls() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    scene.apply("write", json!({"task": create_task("t"), "then": set(&["task"])})).await?;
    scene.apply("read", json!({"deal": get_deal(), "then": set(&["deal"])})).await?;
    scene.asana.misbehave(Misbehaviour::Hang);
    scene.hubspot.misbehave(Misbehaviour::Hang);
    let write = scene.host.start_run("write", &json!({})).await?;
    let read = scene.host.start_run("read", &json!({})).await?;
    scene.asana.wait_for(|calls| calls.len() == 1).await?;
    scene.hubspot.wait_for(|calls| calls.len() == 1).await?;

    // The intent of an unsafe call is durable before the call is made, so GET shows it.
    let under_way = scene.host.run(&write).await?;
    under_way.is("running", &[("task", "running"), ("then", "pending")])?;
    ensure!(under_way.0["ended_at"].is_null(), "{under_way}");

    cancel(&scene, &write).await?;
    cancel(&scene, &read).await?;
    let run = scene.host.ended(&write).await?;
    run.is("cancelled", &[("task", "unknown"), ("then", "cancelled")])?;
    ensure!(run.step("task")?.error_code() == "cancelled-under-way", "{run}");
    let run = scene.host.ended(&read).await?;
    run.is("cancelled", &[("deal", "cancelled"), ("then", "cancelled")])?;

    let again = scene.host.post(&format!("/runs/{write}/cancel"), &json!({})).await?;
    ensure!(again.problem(409, "run-ended")?["state"] == "cancelled", "{}", again.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_while_it_waits() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    scene.apply("waits", json!({"task": create_task("t")})).await?;
    scene.asana.misbehave(Misbehaviour::RateLimit { retry_after_s: 3_600 });
    let run = scene.host.start_run("waits", &json!({})).await?;
    scene.host.run_when(&run, "the wait", |run| run.state() == "waiting").await?;
    cancel(&scene, &run).await?;
    scene.host.ended(&run).await?.is("cancelled", &[("task", "cancelled")])?;
    ensure!(scene.asana.calls().len() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_while_it_is_queued() -> anyhow::Result<()> {
    let options = HostOptions::new().set("engine.concurrent_runs", 1);
    let scene = Scene::start_with(options).await?;
    scene.apply("read", json!({"deal": get_deal()})).await?;
    scene.hubspot.misbehave(Misbehaviour::Hang);
    let first = scene.host.start_run("read", &json!({})).await?;
    scene.hubspot.wait_for(|calls| calls.len() == 1).await?;
    let second = scene.host.start_run("read", &json!({})).await?;
    let third = scene.host.start_run("read", &json!({})).await?;
    scene.host.run(&second).await?.is("queued", &[])?;

    cancel(&scene, &second).await?;
    cancel(&scene, &first).await?;
    scene.host.ended(&first).await?.is("cancelled", &[])?;
    scene.host.ended(&second).await?.is("cancelled", &[])?;
    scene.host.ended(&third).await?.is("succeeded", &[])?;
    ensure!(scene.hubspot.calls().len() == 2, "a cancelled run called out");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_keeps_the_version_it_started_with() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let version =
        |name: &str| json!({"deal": get_deal(), "task": after(create_task(name), &["deal"])});
    scene.apply("versions", version("from version 1")).await?;
    scene.hubspot.misbehave(Misbehaviour::Delay { delay_ms: 400 });
    let old = scene.host.start_run("versions", &json!({})).await?;
    scene.hubspot.wait_for(|calls| calls.len() == 1).await?;
    scene.apply("versions", version("from version 2")).await?;
    let new = scene.host.run_to_end("versions", &json!({})).await?;
    let old = scene.host.ended(&old).await?;
    ensure!(old.0["version"] == 1 && new.0["version"] == 2, "{old}{new}");
    let mut names = scene.task_names();
    names.sort();
    ensure!(names == ["from version 1", "from version 2"], "{names:?}");
    Ok(())
}
