//! What an operator does with what does not go on, over HTTP and over the command line.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tombolo_tests::sink::{Sink, SinkOptions};
use tombolo_tests::standin::Call;
use tombolo_tests::{HostOptions, Misbehaviour};

use crate::scene::{Scene, create_task, get_deal, with};

/// The calls that created a task.
fn created(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.performed).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_step_is_found_mended_and_redriven_without_repeating_the_others()
-> anyhow::Result<()> {
    let alarm = Sink::start(SinkOptions::default())?;
    let options = HostOptions::new()
        .allow(&alarm.origin())
        .set("alerts.url", format!("{}/alerts", alarm.origin()));
    let scene = Scene::start_with(options).await?;
    let task = with(create_task("Onboarding"), json!({"after": ["deal"]}));
    let late = with(create_task("Later"), json!({"after": ["task"], "retry": {"attempts": 1}}));
    scene.apply("chain", json!({"deal": get_deal(), "task": task, "late": late})).await?;
    scene.asana.misbehave(Misbehaviour::Delay { delay_ms: 0 });
    scene.asana.misbehave(Misbehaviour::Status { status: 400 });
    let run = scene.host.run_to_end("chain", &json!({})).await?;
    run.is("failed", &[("task", "succeeded"), ("late", "dead")])?;

    let letters = scene.host.get("/dead-letters?workflow=chain").await?.expect(200)?;
    let letter = &letters["items"][0];
    ensure!(letter["run"] == run.id() && letter["node"] == "late", "{letters:#}");
    alarm.wait_for(1, std::time::Duration::from_secs(10)).await.context("nobody was told")?;
    let why = scene.host.tombolo(&["run", "explain", run.id(), "--json"]).await?.json(0)?;
    ensure!(why["why"]["code"] == "failed", "{why:#}");

    let redriven = scene.host.tombolo(&["run", "redrive", run.id()]).await?;
    redriven.expect(0)?;
    let run = scene.host.run_when(run.id(), "its end", |run| run.state() == "succeeded").await?;
    run.is("succeeded", &[("deal", "succeeded"), ("task", "succeeded"), ("late", "succeeded")])?;
    ensure!(scene.task_names() == ["Onboarding", "Later"], "{:?}", scene.task_names());
    ensure!(created(&scene.asana.calls()) == 2 && scene.hubspot.calls().len() == 1, "{run}");
    let letters = scene.host.get("/dead-letters").await?.expect(200)?;
    ensure!(letters["items"] == json!([]), "{letters:#}");
    let audit = scene.host.get("/audit").await?.expect(200)?;
    ensure!(audit["items"][0]["action"] == "step-redriven", "{audit:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_pause_the_connection_and_new_ones_let_its_steps_go_on()
-> anyhow::Result<()> {
    let scene = Scene::start().await?;
    scene.apply("read", json!({"deal": get_deal()})).await?;
    scene.host.bearer("hubspot", &scene.hubspot.origin(), "an-old-token").await?;
    let run = scene.host.start_run("read", &json!({})).await?;
    let parked = scene.host.run_when(&run, "the pause", |run| run.state() == "waiting").await?;
    ensure!(parked.step("deal")?.error_class() == "auth", "{parked}");
    let why = scene.host.get(&format!("/runs/{run}/explain")).await?.expect(200)?;
    ensure!(why["why"]["code"] == "connection-paused", "{why:#}");
    let calls = scene.hubspot.calls().len();
    let other = scene.host.start_run("read", &json!({})).await?;
    scene.host.run_when(&other, "the pause", |run| run.state() == "waiting").await?;
    ensure!(scene.hubspot.calls().len() == calls, "it calls through a paused connection");

    // Over a restart, too.
    scene.host.restart().await?;
    scene.host.bearer("hubspot", &scene.hubspot.origin(), tombolo_tests::hubspot::TOKEN).await?;
    for run in [run, other] {
        scene.host.ended(&run).await?.is("succeeded", &[("deal", "succeeded")])?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_approves_at_an_address_that_nobody_can_guess() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let nodes = json!({
        "tell": {"use": "set", "with": {"address": "${ .callbacks.ask }"}},
        "ask": {"use": "approval", "after": ["tell"], "with": {
            "title": "Pay <b>${ .trigger.amount }</b>?", "details": {"to": "Ada & Co"}
        }},
        "pay": with(create_task("Paid"), json!({"after": ["ask.approved"]})),
    });
    scene.apply("approve", nodes).await?;
    let run = scene.host.start_run("approve", &json!({"amount": 5})).await?;
    let parked = scene.host.run_when(&run, "the question", |run| run.state() == "waiting").await?;
    let address =
        parked.step("tell")?.output()["address"].as_str().context("no address")?.to_owned();
    let path = address.strip_prefix(scene.host.origin()).context(address.clone())?.to_owned();

    let page = scene.host.answer(scene.host.anonymous("GET", &path)).await?;
    ensure!(page.status == 200 && page.header("content-type").starts_with("text/html"), "{page:?}");
    let text = page.text.clone();
    ensure!(text.contains("Pay &lt;b&gt;5&lt;/b&gt;?") && !text.contains("<b>5"), "{text}");
    let (front, proof) = path.rsplit_once('/').context("no proof")?;
    let other: String = proof.chars().rev().collect();
    let wrong = scene.host.anonymous("POST", &format!("{front}/{other}"));
    scene.host.answer(wrong.json(&json!({"decision": "approved"}))).await?.expect(404)?;

    // The process dies between the question and the answer.
    scene.host.restart().await?;
    let decide = |body: Value| scene.host.answer(scene.host.anonymous("POST", &path).json(&body));
    decide(json!({"decision": "perhaps"})).await?.problem(422, "invalid-body")?;
    decide(json!({"decision": "approved", "by": "Ada", "reason": "fine"})).await?.expect(202)?;
    let run = scene.host.ended(&run).await?;
    run.is("succeeded", &[("ask", "succeeded"), ("pay", "succeeded")])?;
    let said = run.step("ask")?.output();
    ensure!(said["by"] == "Ada" && said["reason"] == "fine", "{run}");
    let again = decide(json!({"decision": "rejected"})).await?;
    ensure!(matches!(again.status, 409 | 410), "{again:?}");
    ensure!(scene.task_names() == ["Paid"], "{:?}", scene.task_names());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_after_a_kill_and_one_bad_item_does_not_sink_it() -> anyhow::Result<()> {
    const ITEMS: usize = 60;
    let scene = Scene::start().await?;
    scene.asana.honour_idempotency_keys(true);
    let items: Vec<String> = (0..ITEMS).map(|number| format!("task {number}")).collect();
    let create = json!({
        "use": "asana.create-task", "connection": "asana", "effect": "keyed", "after": ["items"],
        "each": {"items": "${ .steps.items.names }", "limit": 4, "on_item_error": "collect"},
        "retry": {"attempts": 1},
        "with": {"name": "${ .item }", "workspace": tombolo_tests::asana::WORKSPACE_GID},
    });
    let nodes = json!({
        "items": {"use": "set", "with": {"names": items}},
        "create": create,
        "all": {"use": "set", "after": ["create"], "with": {"made": "${ .steps.create }"}},
    });
    scene.apply("list", nodes).await?;
    scene.asana.misbehave(Misbehaviour::Status { status: 400 });
    for _ in 0..ITEMS {
        scene.asana.misbehave(Misbehaviour::Delay { delay_ms: 15 });
    }
    let run = scene.host.start_run("list", &json!({})).await?;
    scene.asana.wait_for(|calls| calls.len() > ITEMS / 3).await?;
    scene.host.restart().await?;
    let run = scene.host.ended(&run).await?;
    run.is("succeeded", &[("create", "succeeded")])?;
    let made = run.output()["made"].as_array().context("no list")?.clone();
    let failed = made.iter().filter(|item| item.get("error").is_some()).count();
    ensure!(made.len() == ITEMS, "{}", made.len());
    ensure!(failed <= 1 && scene.asana.duplicates() == 0, "{failed} failed\n{run}");
    ensure!(scene.task_names().len() == ITEMS - failed, "{:?}", scene.task_names());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_is_replayed_from_its_failed_step_on_a_newer_version() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let nodes = |name: &str| json!({"deal": get_deal(), "task": with(create_task(name), json!({"after": ["deal"]}))});
    scene.apply("chain", nodes("old")).await?;
    scene.asana.misbehave(Misbehaviour::Status { status: 400 });
    let run = scene.host.run_to_end("chain", &json!({})).await?;
    run.is("failed", &[("task", "dead")])?;
    scene.apply("chain", nodes("new")).await?;
    let path = format!("/runs/{}/replay", run.id());
    let order = json!({"from": "failed", "version": "latest", "dry_run": true});
    let plan = scene.host.post(&path, &order).await?.expect(200)?;
    ensure!(plan["takes_over"] == json!(["deal"]), "{plan:#}");
    ensure!(plan["repeats"][0]["effect"] == "unsafe", "{plan:#}");
    ensure!(scene.asana.calls().len() == 1, "a dry run calls nobody");
    let order = json!({"from": "failed", "version": "latest"});
    let replay = scene.host.post(&path, &order).await?.expect(202)?;
    let id = replay["run"].as_str().context(replay.to_string())?;
    let ended = scene.host.ended(id).await?;
    ended.is("succeeded", &[("deal", "succeeded"), ("task", "succeeded")])?;
    ensure!(ended.0["replay_of"] == run.id(), "{ended}");
    ensure!(scene.task_names() == ["new"] && scene.hubspot.calls().len() == 1, "{ended}");
    Ok(())
}
