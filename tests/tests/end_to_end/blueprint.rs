//! The workflows of this repository, with their cases: folders of data, described in
//! `workflows/README.md`. And the event of the integration guide, step by step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tombolo_tests::hubspot::{self, ObjectType};
use tombolo_tests::{Call, Rule};

use crate::scene::{APP_SECRET, Scene, contains};

/// Cases side by side.
const AT_ONCE: usize = 3;

fn workflows() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../workflows")
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn folders(of: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(of).with_context(|| of.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// `expect.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    runs: Vec<ExpectedRun>,
    calls: Vec<ExpectedCall>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedRun {
    state: String,
    steps: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedCall {
    to: String,
    method: String,
    path: String,
    #[serde(default)]
    body: Option<Value>,
}

/// `given.json`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Given {
    hubspot: GivenHubSpot,
    asana: GivenAsana,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GivenHubSpot {
    contacts: Objects,
    companies: Objects,
    deals: Objects,
    misbehave: Vec<Rule>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GivenAsana {
    misbehave: Vec<Rule>,
}

type Objects = BTreeMap<u64, BTreeMap<String, String>>;

#[tokio::test(flavor = "multi_thread")]
async fn every_case_comes_out_as_expected() -> anyhow::Result<()> {
    let mut cases = Vec::new();
    for workflow in folders(&workflows())? {
        cases.extend(folders(&workflow.join("cases"))?);
    }
    ensure!(!cases.is_empty(), "there is no case");
    let results: Vec<_> = stream::iter(cases)
        .map(async |case| case_of(&case).await.with_context(|| case.display().to_string()))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let failed: Vec<String> =
        results.into_iter().filter_map(|result| result.err().map(|e| format!("{e:#}"))).collect();
    ensure!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(())
}

async fn case_of(folder: &Path) -> anyhow::Result<()> {
    let expected: Expected = serde_json::from_value(read(&folder.join("expect.json"))?)?;
    let event = read(&folder.join("event.json"))?;
    let scene = Scene::start().await?;
    let given = folder.join("given.json");
    if given.exists() {
        give(&scene, serde_json::from_value(read(&given)?)?);
    }
    let file = read(&folder.join("../../workflow.json"))?;
    scene.host.apply(&file).await?;
    let path = webhook_path(&file)?;
    let answer = scene.host.deliver_signed(path, APP_SECRET, &event).await?.expect(202)?;

    // An event that comes twice is answered with the run of the first.
    let mut runs: Vec<&str> = Vec::new();
    for run in answer["runs"].as_array().context("no runs")?.iter().filter_map(Value::as_str) {
        if !runs.contains(&run) {
            runs.push(run);
        }
    }
    ensure!(runs.len() == expected.runs.len(), "{} runs: {answer}", runs.len());
    for (run, wanted) in runs.iter().zip(&expected.runs) {
        let run = scene.host.ended(run).await?;
        let steps = wanted.steps.iter().map(|(node, state)| (node.as_str(), state.as_str()));
        run.is(&wanted.state, &steps.collect::<Vec<_>>())?;
    }
    let alone = runs.len() == 1;
    compare("hubspot", scene.hubspot.calls(), &expected.calls, alone)?;
    compare("asana", scene.asana.calls(), &expected.calls, alone)
}

fn give(scene: &Scene, given: Given) {
    let kinds = [
        (ObjectType::Contacts, given.hubspot.contacts),
        (ObjectType::Companies, given.hubspot.companies),
        (ObjectType::Deals, given.hubspot.deals),
    ];
    for (kind, objects) in kinds {
        for (id, properties) in objects {
            let properties: Vec<_> =
                properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            scene.hubspot.provider().insert(kind, id, &properties);
        }
    }
    given.hubspot.misbehave.into_iter().for_each(|rule| scene.hubspot.misbehave(rule));
    given.asana.misbehave.into_iter().for_each(|rule| scene.asana.misbehave(rule));
}

fn webhook_path(file: &Value) -> anyhow::Result<&str> {
    let triggers = file["triggers"].as_object().context("no triggers")?;
    let path = triggers.values().find_map(|trigger| trigger["webhook"]["path"].as_str());
    path.context("no webhook")
}

/// All calls that are expected, and not one more. The calls of one run have an order.
fn compare(
    to: &str,
    mut calls: Vec<Call>,
    expected: &[ExpectedCall],
    in_order: bool,
) -> anyhow::Result<()> {
    for wanted in expected.iter().filter(|call| call.to == to) {
        let place = calls.iter().position(|call| fits(call, wanted));
        let place = place.filter(|place| !in_order || *place == 0);
        let place = place.with_context(|| {
            format!("{} {} is not next of {}", wanted.method, wanted.path, shown(&calls))
        })?;
        calls.remove(place);
    }
    ensure!(calls.is_empty(), "{to} was also called: {}", shown(&calls));
    Ok(())
}

fn fits(call: &Call, wanted: &ExpectedCall) -> bool {
    call.method == wanted.method
        && call.path == wanted.path
        && wanted.body.as_ref().is_none_or(|body| contains(&call.json(), body))
}

fn shown(calls: &[Call]) -> String {
    let shown = calls.iter().map(|call| {
        format!("{} {} {}", call.method, call.path, String::from_utf8_lossy(&call.body))
    });
    format!("[{}]", shown.collect::<Vec<_>>().join(", "))
}

async fn won() -> anyhow::Result<Scene> {
    let scene = Scene::start().await?;
    let file = read(&workflows().join("deal-won-to-project/workflow.json"))?;
    scene.host.apply(&file).await?;
    Ok(scene)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_of_the_guide_becomes_one_project_however_often_it_comes() -> anyhow::Result<()> {
    let scene = won().await?;
    let events = hubspot::deal_won_event(json!({}));
    let first = scene.host.deliver_signed("hubspot/deals", APP_SECRET, &events).await?;
    let first = first.expect(202)?;
    ensure!(first["accepted"] == 1 && first["duplicates"] == 0, "{first}");

    let run = scene.host.ended(first["runs"][0].as_str().context("no run")?).await?;
    run.is(
        "succeeded",
        &[("deal", "succeeded"), ("project", "succeeded"), ("welcome", "skipped")],
    )?;
    let projects = scene.asana.provider().projects();
    ensure!(projects.len() == 1, "{projects:?}");
    ensure!(projects[0]["name"] == "Onboarding: Acme Corp – Annual Plan", "{projects:?}");
    ensure!(run.output()["onboarding"] == projects[0]["permalink_url"], "{run}");
    ensure!(run.0["trigger"] == "deal_changed" && run.0["version"] == 1, "{run}");

    // Again, and again after a restart: the sender is told of the same run, and nothing happens.
    for restart in [false, true] {
        if restart {
            scene.host.restart().await?;
        }
        let again = scene.host.deliver_signed("hubspot/deals", APP_SECRET, &events).await?;
        let again = again.expect(202)?;
        ensure!(again["accepted"] == 0 && again["duplicates"] == 1, "{again}");
        ensure!(again["runs"] == first["runs"], "{again}");
    }
    ensure!(scene.host.runs("").await?.len() == 1);
    ensure!((scene.hubspot.calls().len(), scene.asana.calls().len()) == (1, 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_run_for_each_new_event() -> anyhow::Result<()> {
    let scene = won().await?;
    scene.hubspot.provider().insert(
        ObjectType::Deals,
        200,
        &[("dealname", "Blue Door"), ("amount", "900"), ("dealstage", "closedwon")],
    );
    let event = |overrides: Value| hubspot::deal_won_event(overrides)[0].clone();
    let batch = json!([
        event(json!({"eventId": 7})),
        event(json!({"eventId": 8, "objectId": 200})),
        event(json!({"eventId": 7, "attemptNumber": 1})),
    ]);
    let answer = scene.host.deliver_signed("hubspot/deals", APP_SECRET, &batch).await?;
    let answer = answer.expect(202)?;
    ensure!(answer["accepted"] == 2 && answer["duplicates"] == 1, "{answer}");
    let runs = answer["runs"].as_array().context("no runs")?;
    for run in runs {
        scene.host.ended(run.as_str().unwrap_or_default()).await?.is("succeeded", &[])?;
    }
    ensure!(scene.asana.provider().projects().len() == 1);
    ensure!(scene.task_names() == ["Welcome Blue Door"]);
    ensure!(scene.host.runs("").await?.len() == 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_was_not_won_is_left_alone() -> anyhow::Result<()> {
    let scene = won().await?;
    let events = hubspot::deal_won_event(json!({"propertyValue": "closedlost"}));
    let answer = scene.host.deliver_signed("hubspot/deals", APP_SECRET, &events).await?;
    let answer = answer.expect(202)?;
    let run = scene.host.ended(answer["runs"][0].as_str().context("no run")?).await?;
    let skipped = ["deal", "tier", "project", "welcome", "outcome"].map(|node| (node, "skipped"));
    run.is("succeeded", &skipped)?;
    ensure!(scene.hubspot.calls().is_empty() && scene.asana.calls().is_empty());
    Ok(())
}
