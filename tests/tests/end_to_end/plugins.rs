//! The plugins of the house as components, where their own tests run them natively; and a plugin
//! that misbehaves in every way there is.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tombolo_tests::host::guest;
use tombolo_tests::{Host, HostOptions, asana};

use crate::scene::{Scene, contains, create_task, echo_server, with};

#[tokio::test(flavor = "multi_thread")]
async fn data_goes_through_every_operation() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new()).await?;
    let step = |operation: &str, after: &str, with: Value| {
        let after = if after.is_empty() { json!([]) } else { json!([after]) };
        json!({"use": format!("data.{operation}"), "after": after, "with": with})
    };
    let order = json!({"type": "object", "required": ["team"]});
    let nodes = json!({
        "rows": step("parse-csv", "", json!({"text": "${ .trigger.csv }"})),
        "typed": step("map", "rows", json!({
            "input": "${ .steps.rows }", "program": "map(.amount |= tonumber)"
        })),
        "large": step("filter", "typed", json!({"items": "${ .steps.typed }", "where": ".amount > 1"})),
        "unique": step("deduplicate", "large", json!({"items": "${ .steps.large }", "by": ["name"]})),
        "sorted": step("sort", "unique", json!({
            "items": "${ .steps.unique }", "by": [{"field": "amount", "descending": true}]
        })),
        "first": step("limit", "sorted", json!({"items": "${ .steps.sorted }", "count": 2})),
        "total": step("aggregate", "first", json!({
            "items": "${ .steps.first }", "fields": {"sum": {"sum": "amount"}, "n": {"count": "*"}}
        })),
        "team": step("lookup", "first", json!({
            "table": [{"name": "Ada", "team": "red"}, {"name": "Bob", "team": "blue"}],
            "column": "name", "value": "${ .steps.first[0].name }"
        })),
        "checked": step("validate", "team", json!({"input": "${ .steps.team }", "schema": order})),
        "written": step("write-csv", "first", json!({"items": "${ .steps.first }"})),
        "parts": step("batch", "first", json!({"items": "${ .steps.first }", "size": 1})),
        "lines": step("split", "", json!({"items": [{"l": [1, 2]}, {"l": [3]}], "field": "l"})),
    });
    host.apply(&json!({"name": "data", "nodes": nodes})).await?;
    let csv = "name,amount\nAda,5\nBob,7.5\nAda,5\nCyd,0.5\nEve,2\n";
    let run = host.run_to_end("data", &json!({ "csv": csv })).await?;
    run.is("succeeded", &[])?;
    let (bob, ada) = (json!({"name": "Bob", "amount": 7.5}), json!({"name": "Ada", "amount": 5}));
    for (node, expected) in [
        ("first", json!([bob, ada])),
        ("total", json!([{"sum": 12.5, "n": 2}])),
        ("checked", json!({"name": "Bob", "team": "blue"})),
        ("written", json!({"text": "name,amount\r\nBob,7.5\r\nAda,5\r\n"})),
        ("parts", json!([[bob], [ada]])),
        ("lines", json!([1, 2, 3])),
    ] {
        let output = run.step(node)?.output();
        ensure!(*output == expected, "{node}: {output}\n{run}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hubspot_and_asana_are_read_and_written() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let hubspot = |operation: &str, after: &str, with: Value| {
        let after = if after.is_empty() { json!([]) } else { json!([after]) };
        json!({"use": format!("hubspot.{operation}"), "connection": "hubspot", "after": after, "with": with})
    };
    let asana = |operation: &str, after: &str, with: Value| json!({"use": format!("asana.{operation}"), "connection": "asana", "after": [after], "with": with});
    let nodes = json!({
        "created": hubspot("create-company", "", json!({"properties": {"name": "Blue Door"}})),
        "changed": hubspot("update-company", "created", json!({
            "id": "${ .steps.created.id }", "properties": {"city": "Bern"}
        })),
        "found": hubspot("search-companies", "changed", json!({
            "filters": [{"property": "city", "operator": "EQ", "value": "Bern"}], "properties": ["name", "city"]
        })),
        "contact": hubspot("get-contact", "", json!({
            "id": "ada.lovelace@acme.example", "id_property": "email"
        })),
        "project": asana("create-project", "found", json!({
            "name": "For ${ .steps.found.results[0].name }", "workspace": asana::WORKSPACE_GID
        })),
        "task": asana("create-task", "project", json!({
            "name": "Welcome", "projects": ["${ .steps.project.gid }"], "external_id": "welcome-1"
        })),
        "again": asana("find-task-by-external-id", "task", json!({"external_id": "welcome-1"})),
    });
    scene.apply("both", nodes).await?;
    let run = scene.host.run_to_end("both", &json!({})).await?;
    run.is("succeeded", &[])?;
    ensure!(run.step("contact")?.output()["name"] == "Ada Lovelace", "{run}");
    ensure!(run.step("again")?.output()["gid"] == run.step("task")?.output()["gid"], "{run}");
    let projects = scene.asana.provider().projects();
    ensure!(projects.len() == 1 && projects[0]["name"] == "For Blue Door", "{projects:?}");

    // What the other side refuses is told in its words.
    let taken = with(
        create_task("Welcome"),
        json!({"with": {
            "name": "Welcome", "workspace": asana::WORKSPACE_GID, "external_id": "welcome-1"
        }}),
    );
    scene.apply("taken", json!({"task": taken})).await?;
    let run = scene.host.run_to_end("taken", &json!({})).await?;
    run.is("failed", &[("task", "dead")])?;
    ensure!(run.step("task")?.error_message().contains("already assigned"), "{run}");

    // And so is a token that it does not take.
    scene.host.bearer("hubspot", &scene.hubspot.origin(), "a wrong token").await?;
    scene.apply("locked", json!({"deal": crate::scene::get_deal()})).await?;
    let run = scene.host.start_run("locked", &json!({})).await?;
    let run = scene.host.run_when(&run, "the pause", |run| run.state() == "waiting").await?;
    ensure!(run.step("deal")?.error_class() == "auth", "{run}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_http_call_can_be_made() -> anyhow::Result<()> {
    let upstream = echo_server().await?;
    let host = Host::start(HostOptions::new().allow(&upstream)).await?;
    host.connection("api", json!({ "base_url": format!("{upstream}/v1") })).await?;
    let call = |operation: &str, with: Value| json!({"use": format!("http.{operation}"), "connection": "api", "with": with});
    let nodes = json!({
        "get": call("get", json!({"path": "/a", "query": {"n": "${ .trigger.n }", "tag": ["x", "y"]}})),
        "put": call("request", json!({"method": "PUT", "path": "/b", "json": {"n": "${ .trigger.n }"},
                                      "headers": {"X-Trace": "t"}})),
        "form": call("request", json!({"method": "POST", "path": "/c", "form": {"a": "x y"}})),
        "graphql": call("graphql", json!({"path": "/g", "document": "{ a }", "variables": {"n": 1}})),
    });
    host.apply(&json!({"name": "calls", "nodes": nodes})).await?;
    let run = host.run_to_end("calls", &json!({"n": 7})).await?;
    run.is("succeeded", &[])?;
    for (node, method, uri, body) in [
        ("get", "GET", "/v1/a?n=7&tag=x&tag=y", ""),
        ("put", "PUT", "/v1/b", "{\"n\":7}"),
        ("form", "POST", "/v1/c", "a=x+y"),
    ] {
        let sent = &run.step(node)?.output()["body"];
        let expected = json!({"method": method, "uri": uri, "body": body});
        ensure!(contains(sent, &expected), "{node}: {sent}");
    }
    let trace = &run.step("put")?.output()["body"]["headers"];
    ensure!(trace.to_string().contains("x-trace"), "{trace}");
    let graphql = run.step("graphql")?;
    let sent = graphql.calls()[0]["request_body"].as_str().context("no body on record")?;
    let sent: Value = serde_json::from_str(sent)?;
    ensure!(sent == json!({"query": "{ a }", "variables": {"n": 1}}), "{sent}");
    Ok(())
}

/// What the plugin does, its parameters, and the codes that its step may end with.
const ABUSE: [(&str, &str, &[&str]); 11] = [
    ("spin", "{}", &["cpu-limit", "step-timeout"]),
    ("allocate", r#"{"n": 1000000000}"#, &["memory-limit"]),
    ("output", r#"{"n": 2000000}"#, &["output-limit"]),
    ("ports", r#"{"n": 1000}"#, &["output-limit"]),
    ("recurse", r#"{"n": 100000000}"#, &["stack-overflow", "trap"]),
    ("panic", "{}", &["trap"]),
    ("exit", r#"{"n": 7}"#, &["exit"]),
    ("log-once", r#"{"n": 2000000}"#, &["host-call-limit"]),
    ("not-json", "{}", &["malformed-output"]),
    ("twice", "{}", &["malformed-output"]),
    ("deep", "{}", &["malformed-output"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_misbehaves_ends_its_step_and_nothing_else() -> anyhow::Result<()> {
    const OUTPUT_BYTES: usize = 1024 * 1024;
    let options = HostOptions::new()
        .set("sandbox.call.cpu_ms", 500)
        .set("sandbox.call.output_bytes", OUTPUT_BYTES);
    let host = Host::start(options).await?;
    host.add_plugin(&guest("abuse")?).await?;
    host.apply(&json!({"name": "modest", "nodes": {"n": {"use": "set", "with": {"n": "${ .trigger.n }"}}}}))
        .await?;
    let mut greedy = Vec::new();
    for (operation, params, codes) in ABUSE {
        let params: Value = serde_json::from_str(params)?;
        let node = json!({"use": format!("abuse.{operation}"), "with": params, "timeout": "5s"});
        let other = json!({"use": "set", "with": {"fine": true}});
        host.apply(&json!({"name": operation, "nodes": {"greedy": node, "other": other}})).await?;
        greedy.push((operation, codes, host.start_run(operation, &json!({})).await?));
    }
    for n in 0..20 {
        let run = host.run_to_end("modest", &json!({ "n": n })).await?;
        ensure!(run.output() == &json!({ "n": n }), "{run}");
    }
    for (operation, codes, run) in greedy {
        let run = host.ended(&run).await?;
        run.is("failed", &[("greedy", "dead"), ("other", "succeeded")]).context(operation)?;
        let step = run.step("greedy")?;
        ensure!(codes.contains(&step.error_code()), "{operation} is not {codes:?}\n{run}");
        ensure!(step.attempts() == 1, "what will not pass is not tried again\n{run}");
    }
    let peak = host.peak_bytes().await?;
    ensure!(peak < 900 * 1024 * 1024, "it took {peak} bytes");
    Ok(())
}
