//! The command line: a session as in the README, and what programs read.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tombolo_tests::host::{Said, plugin};
use tombolo_tests::{Host, HostOptions, Misbehaviour, hubspot};

use crate::scene::{Scene, create_task, get_deal, with};

/// Writes a file into the host's folder, where commands run.
fn write(host: &Host, name: &str, content: &Value) -> anyhow::Result<()> {
    Ok(std::fs::write(host.folder().join(name), format!("{content:#}\n"))?)
}

fn has(said: &Said, code: i32, words: &[&str]) -> anyhow::Result<()> {
    let out = said.expect(code)?;
    for word in words {
        ensure!(out.contains(word), "`{word}` is not in:\n{out}\n{}", said.err);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_as_in_the_readme() -> anyhow::Result<()> {
    let hubspot = hubspot::start().await?;
    let host = Host::start(HostOptions::new().first_start().allow(&hubspot.origin())).await?;

    let files = [plugin("data")?, plugin("hubspot")?].map(|path| path.display().to_string());
    let added = host.tombolo(&["plugin", "add", &files[0], &files[1]]).await?;
    has(&added, 0, &["data", "hubspot"])?;
    has(
        &host.tombolo(&["plugin", "list"]).await?,
        0,
        &["data", "transform", "hubspot", "connector"],
    )?;

    let hello = json!({"name": "hello", "nodes": {
        "greet": {"use": "set", "with": {"text": "Hello, ${ .trigger.name }!"}}
    }});
    write(&host, "hello.json", &hello)?;
    has(&host.tombolo(&["workflow", "validate", "hello.json"]).await?, 0, &["hello.json: valid"])?;
    has(
        &host.tombolo(&["workflow", "apply", "hello.json"]).await?,
        0,
        &["hello version 1 created"],
    )?;
    has(
        &host.tombolo(&["workflow", "apply", "hello.json"]).await?,
        0,
        &["hello version 1 unchanged"],
    )?;
    has(&host.tombolo(&["workflow", "list"]).await?, 0, &["hello"])?;
    has(&host.tombolo(&["workflow", "show", "hello"]).await?, 0, &["hello v1", "greet", "set"])?;

    let start = ["run", "start", "hello", "--input", "{\"name\": \"Ada\"}", "--wait", "30"];
    has(&host.tombolo(&start).await?, 0, &["greet", "✓ succeeded", "Hello, Ada!"])?;
    has(&host.tombolo(&["run", "list"]).await?, 0, &["hello v1", "✓ succeeded"])?;

    // A connection: the secret comes from a variable.
    let set =
        ["connection", "set", "hubspot", "--base-url", &hubspot.origin(), "--bearer-env", "SECRET"];
    let set = host.tombolo_with(&set, &[("SECRET", hubspot::TOKEN)]).await?;
    has(&set, 0, &["hubspot"])?;
    let listed = host.tombolo(&["connection", "list"]).await?;
    has(&listed, 0, &["hubspot", &hubspot.origin(), "bearer"])?;
    ensure!(!format!("{set:?}{listed:?}").contains(hubspot::TOKEN), "the secret is shown");

    let deal = json!({"name": "deal", "nodes": {
        "deal": get_deal(),
        "name": {"use": "set", "after": ["deal"], "with": {"name": "${ .steps.deal.name }"}}
    }});
    write(&host, "deal.json", &deal)?;
    host.tombolo(&["workflow", "apply", "deal.json"]).await?.expect(0)?;
    let ran = host.tombolo(&["run", "start", "deal", "--wait", "30", "--json"]).await?.json(0)?;
    let id = ran["id"].as_str().context("no id")?;
    let shown = host.tombolo(&["run", "show", id, "--steps"]).await?;
    has(
        &shown,
        0,
        &[id, "└─ deal", "   └─ name", "hubspot.get-deal", "✓ succeeded", "GET", "200"],
    )?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_shown_at_its_line() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let host = &scene.host;
    let text = "{\n  \"name\": \"won\",\n  \"nodes\": {\n    \"deal\": { \"use\": \"set\" },\n    \"tier\": { \"use\": \"set\", \"after\": [\"dael\"] }\n  }\n}\n";
    std::fs::write(host.folder().join("won.json"), text)?;
    for command in ["validate", "apply"] {
        let said = host.tombolo(&["workflow", command, "won.json"]).await?;
        has(
            &said,
            1,
            &["no such node: `dael`", "won.json:5:39", "did you mean `deal`?", "^^^^^^"],
        )?;
    }
    let said = host.tombolo(&["workflow", "validate", "won.json", "--json"]).await?.json(1)?;
    ensure!(said[0]["valid"] == false && said[0]["file"] == "won.json", "{said}");
    ensure!(said[0]["issues"][0]["pointer"] == "/nodes/tier/after/0", "{said}");

    std::fs::write(host.folder().join("broken.json"), "{\n  \"name\": \"won\",\n}\n")?;
    let said = host.tombolo(&["workflow", "apply", "broken.json"]).await?;
    has(&said, 1, &["not JSON", "broken.json:3:1"])?;
    ensure!(host.get("/workflows").await?.expect(200)?["items"] == json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_shown_as_a_tree_and_cancelled() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let nodes = json!({
        "deal": get_deal(),
        "task": with(create_task("t"), json!({"after": ["deal"]})),
        "last": {"use": "set", "after": ["task"]}
    });
    scene.apply("chain", nodes).await?;
    scene.asana.misbehave(Misbehaviour::RateLimit { retry_after_s: 3_600 });
    let started = scene.host.tombolo(&["run", "start", "chain", "--json"]).await?.json(0)?;
    let id = started["run"].as_str().context("no run")?.to_owned();
    scene.host.run_when(&id, "the wait", |run| run.state() == "waiting").await?;
    let tree = scene.host.tombolo(&["run", "show", &id]).await?;
    has(&tree, 0, &["◷ waiting", "└─ deal", "   └─ task", "      └─ last", "○ pending", "due "])?;
    let found =
        scene.host.tombolo(&["run", "list", "--state", "waiting", "--json"]).await?.json(0)?;
    ensure!(
        found["items"][0]["id"] == id.as_str() && found["items"][0]["workflow"] == "chain",
        "{found}"
    );

    has(&scene.host.tombolo(&["run", "cancel", &id]).await?, 0, &[&id])?;
    scene.host.ended(&id).await?.is("cancelled", &[])?;
    has(&scene.host.tombolo(&["run", "show", &id]).await?, 0, &["⊘ cancelled"])?;
    let again = scene.host.tombolo(&["run", "cancel", &id]).await?;
    again.expect(1)?;
    ensure!(again.err.contains("ended before"), "{}", again.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_run_that_fails_leaves_with_three() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    scene.apply("missing", json!({"deal": with(get_deal(), json!({"with": {"id": "1"}}))})).await?;
    let said = scene.host.tombolo(&["run", "start", "missing", "--wait", "30"]).await?;
    has(&said, 3, &["✗ failed", "✗ dead"])?;
    let unknown = scene.host.tombolo(&["run", "start", "nothing"]).await?;
    unknown.expect(1)?;
    ensure!(unknown.err.contains("there is no workflow `nothing`"), "{}", unknown.err);
    scene.host.tombolo(&["run", "begin"]).await?.expect(2)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_in_the_data_folder() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new().first_start()).await?;
    let made = host.tombolo(&["token", "create", "--name", "ci", "--scope", "runs:read"]).await?;
    let token = made.expect(0)?.trim().to_owned();
    ensure!(token.starts_with("tbl_") && !token.contains(char::is_whitespace), "{token}");
    let variable = [("TOMBOLO_TOKEN", token.as_str())];
    has(&host.tombolo_with(&["run", "list"], &variable).await?, 0, &["ID"])?;
    let refused = host.tombolo_with(&["workflow", "list"], &variable).await?;
    refused.expect(1)?;
    ensure!(
        refused.err.contains("workflows:read") && !refused.err.contains(&token),
        "{}",
        refused.err
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_is_refused_before_anything_starts() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new().first_start()).await?;
    let wrong = [
        ("TOMBOLO_ENGINE__LEASE_SECOND", "30", "TOMBOLO_ENGINE__LEASE_SECONDS"),
        ("TOMBOLO_SERVER__LISTEN", "everywhere", "server.listen"),
        ("TOMBOLO_ENGINE__POLL_MS", "1", "engine.poll_ms"),
        ("TOMBOLO_EGRESS__ALLOW", "*", "egress.allow"),
    ];
    for (name, value, words) in wrong {
        let said = host.tombolo_with(&["serve"], &[(name, value)]).await?;
        said.expect(1)?;
        ensure!(said.err.contains(words) && said.err.contains(name), "{name}: {}", said.err);
    }
    // The data folder has one server.
    let second = host.tombolo(&["serve", "--listen", "127.0.0.1:0"]).await?;
    second.expect(1)?;
    ensure!(second.err.contains("another Tombolo works on"), "{}", second.err);
    let shown = host.tombolo(&["config", "show"]).await?;
    has(&shown, 0, &["TOMBOLO_DATA__DIR"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_looked_at_without_a_server() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let file = plugin("asana")?.display().to_string();
    let said = scene.host.tombolo(&["plugin", "inspect", &file]).await?;
    has(&said, 0, &["asana", "connector", "create-project", "unsafe", "wasi:http"])?;
    std::fs::write(scene.host.folder().join("not.wasm"), b"\0asm\x01\0\0\0")?;
    let refused = scene.host.tombolo(&["plugin", "inspect", "not.wasm"]).await?;
    refused.expect(1)?;
    ensure!(refused.err.contains("core WebAssembly module"), "{}", refused.err);
    Ok(())
}
