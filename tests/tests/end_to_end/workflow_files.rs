//! Workflow files that are wrong: where, what, and what to write instead. None of them becomes a
//! version.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tombolo_tests::Host;

use crate::scene::{Scene, issue};

/// A good file, to be spoilt.
fn good() -> Value {
    json!({
        "name": "won",
        "triggers": {"deal": {"webhook": {
            "path": "deals", "verify": {"preset": "hubspot-v3", "secrets": ["hubspot-app"]}
        }}},
        "nodes": {
            "deal": {"use": "hubspot.get-deal", "connection": "hubspot", "with": {"id": "${ .trigger.id }"}},
            "tier": {"use": "switch", "after": ["deal"], "with": {
                "ports": {"enterprise": "${ .steps.deal.amount > 10000 }"}, "else": "standard"
            }},
            "project": {"use": "asana.create-project", "connection": "asana", "after": ["tier.enterprise"],
                        "with": {"name": "${ .steps.deal.name }", "workspace": "1"}}
        }
    })
}

type Spoil = fn(&mut Value);

/// What is done to the good file, where it is found, its code, and a part of the help.
const SPOILT: [(&str, Spoil, &str, &str, &str); 27] = [
    ("nodes are a list", |f| f["nodes"] = json!([]), "/nodes", "wrong-type", ""),
    ("no nodes", |f| f["nodes"] = json!({}), "/nodes", "no-nodes", ""),
    ("a number as name", |f| f["name"] = json!(7), "/name", "wrong-type", ""),
    ("no name", |f| drop(remove(f, "", "name")), "", "missing-key", ""),
    ("a time without unit", |f| f["timeout"] = json!(30), "/timeout", "wrong-type", ""),
    (
        "`after` is text",
        |f| f["nodes"]["tier"]["after"] = json!("deal"),
        "/nodes/tier/after",
        "wrong-type",
        "",
    ),
    (
        "unknown key",
        |f| f["nodes"]["tier"]["wiht"] = json!({}),
        "/nodes/tier/wiht",
        "unknown-key",
        "`with`",
    ),
    ("unknown key on top", |f| f["node"] = json!({}), "/node", "unknown-key", "`nodes`"),
    (
        "no verify",
        |f| drop(remove(f, "/triggers/deal/webhook", "verify")),
        "/triggers/deal/webhook",
        "missing-key",
        "",
    ),
    (
        "unknown preset",
        |f| f["triggers"]["deal"]["webhook"]["verify"]["preset"] = json!("hubspot-v2"),
        "/triggers/deal/webhook/verify/preset",
        "unknown-preset",
        "`hubspot-v3`",
    ),
    (
        "unknown secret",
        |f| f["triggers"]["deal"]["webhook"]["verify"]["secrets"] = json!(["hubspot-ap"]),
        "/triggers/deal/webhook/verify/secrets/0",
        "unknown-connection",
        "`hubspot-app`",
    ),
    (
        "no signing secret",
        |f| f["triggers"]["deal"]["webhook"]["verify"]["secrets"] = json!(["asana"]),
        "/triggers/deal/webhook/verify/secrets/0",
        "no-signing-secret",
        "asana",
    ),
    (
        "unknown plugin",
        |f| f["nodes"]["deal"]["use"] = json!("hubspt.get-deal"),
        "/nodes/deal/use",
        "unknown-plugin",
        "`hubspot`",
    ),
    (
        "unknown operation",
        |f| f["nodes"]["deal"]["use"] = json!("hubspot.get-dael"),
        "/nodes/deal/use",
        "unknown-operation",
        "`get-deal`",
    ),
    (
        "missing connection",
        |f| drop(remove(f, "/nodes/deal", "connection")),
        "/nodes/deal",
        "missing-connection",
        "",
    ),
    (
        "unknown connection",
        |f| f["nodes"]["deal"]["connection"] = json!("hubspto"),
        "/nodes/deal/connection",
        "unknown-connection",
        "`hubspot`",
    ),
    (
        "unknown node",
        |f| f["nodes"]["tier"]["after"] = json!(["dael"]),
        "/nodes/tier/after/0",
        "unknown-node",
        "`deal`",
    ),
    (
        "unknown port",
        |f| f["nodes"]["project"]["after"] = json!(["tier.enterprise2"]),
        "/nodes/project/after/0",
        "unknown-port",
        "`enterprise`",
    ),
    (
        "a cycle",
        |f| f["nodes"]["deal"]["after"] = json!(["project"]),
        "/nodes/deal/after",
        "cycle",
        "",
    ),
    (
        "an unknown step is read",
        |f| {
            f["nodes"]["tier"]["with"]["ports"]["enterprise"] = json!("${ .steps.dael.amount > 1 }")
        },
        "/nodes/tier/with/ports/enterprise",
        "unknown-node",
        "`deal`",
    ),
    (
        "a step that is not upstream is read",
        |f| f["nodes"]["tier"]["after"] = json!([]),
        "/nodes/tier/with/ports/enterprise",
        "not-upstream",
        "add \"deal\" to /nodes/tier/after",
    ),
    (
        "a parameter that is not known",
        |f| f["nodes"]["deal"]["with"]["propertys"] = json!(["a"]),
        "/nodes/deal/with/propertys",
        "unknown-key",
        "`properties`",
    ),
    (
        "a parameter of the wrong type",
        |f| f["nodes"]["project"]["with"]["workspace"] = json!(true),
        "/nodes/project/with/workspace",
        "wrong-type",
        "",
    ),
    (
        "a missing parameter",
        |f| f["nodes"]["project"]["with"] = json!({"workspace": "1"}),
        "/nodes/project/with",
        "missing-key",
        "",
    ),
    (
        "an expression that is none",
        |f| f["nodes"]["tier"]["with"]["ports"]["enterprise"] = json!("${ .steps.deal.amount > }"),
        "/nodes/tier/with/ports/enterprise",
        "bad-expression",
        "",
    ),
    (
        "a secret",
        |f| f["nodes"]["project"]["with"]["notes"] = json!("sk_live_4eC39HqLyjWDarjtT1zdp7dc"),
        "/nodes/project/with/notes",
        "secret-in-workflow",
        "tombolo connection set",
    ),
    (
        "an effect that is too weak",
        |f| f["nodes"]["project"]["effect"] = json!("read"),
        "/nodes/project/effect",
        "weaker-effect",
        "",
    ),
];

/// Takes a key out of the object at that pointer.
fn remove(file: &mut Value, pointer: &str, key: &str) -> Option<Value> {
    file.pointer_mut(pointer)?.as_object_mut()?.shift_remove(key)
}

async fn validate(host: &Host, file: &Value) -> anyhow::Result<Value> {
    host.post("/workflows/validate", file).await?.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_at_its_place() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let host = &scene.host;
    let sound = validate(host, &good()).await?;
    ensure!(sound == json!({"valid": true, "issues": []}), "{sound:#}");

    let mut missed = Vec::new();
    for (what, spoil, pointer, code, help) in SPOILT {
        let mut file = good();
        spoil(&mut file);
        if let Err(error) = refused(host, &file, pointer, code, help).await {
            missed.push(format!("{what}: {error:#}"));
        }
    }
    ensure!(missed.is_empty(), "{}", missed.join("\n"));
    ensure!(host.get("/workflows").await?.expect(200)?["items"] == json!([]), "one went live");
    host.apply(&good()).await?;
    Ok(())
}

/// Validation and application say the same.
async fn refused(
    host: &Host,
    file: &Value,
    pointer: &str,
    code: &str,
    help: &str,
) -> anyhow::Result<()> {
    let said = validate(host, file).await?;
    ensure!(said["valid"] == false, "it is valid");
    let found = issue(&said, pointer, code)?;
    ensure!(found["message"].as_str().is_some_and(|text| !text.is_empty()), "{found}");
    let suggestion = found["suggestion"].as_str().unwrap_or_default();
    ensure!(suggestion.contains(help), "`{help}` is not suggested: {found}");
    let problem = host.put("/workflows/won", file).await?.problem(422, "invalid-workflow")?;
    ensure!(problem["issues"] == said["issues"], "validate and apply differ: {problem}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_is_named_by_its_path_and_all_issues_come_at_once() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let round = json!({"name": "won", "nodes": {
        "a": {"use": "set", "after": ["c"]}, "b": {"use": "set", "after": ["a"]},
        "c": {"use": "set", "after": ["b"]}, "d": {"use": "set", "after": ["d"]}
    }});
    let said = validate(&scene.host, &round).await?;
    let of = |pointer: &str| anyhow::Ok(issue(&said, pointer, "cycle")?["message"].to_string());
    ensure!(of("/nodes/d/after")?.contains("d -> d"), "{said}");
    let cycle =
        said["issues"].as_array().into_iter().flatten().map(|issue| issue["message"].to_string());
    let paths = ["a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c"];
    let cycles: Vec<_> =
        cycle.filter(|text| paths.iter().any(|path| text.contains(path))).collect();
    ensure!(cycles.len() == 1, "{said}");

    let mut file = good();
    file["nodes"]["deal"]["use"] = json!("hubspot.get-dael");
    file["nodes"]["project"]["connection"] = json!("asna");
    let said = validate(&scene.host, &file).await?;
    issue(&said, "/nodes/deal/use", "unknown-operation")?;
    issue(&said, "/nodes/project/connection", "unknown-connection")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_refused_with_line_and_column() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let deep = format!("{{\"name\": {}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let texts: [(&str, &str, Value); 4] = [
        (
            "{\n  \"name\": \"won\",\n  \"nodes\": {,}\n}",
            "not-json",
            json!({"line": 3, "column": 13}),
        ),
        (
            "{\"name\": \"won\",\n\"nodes\": {},\n\"nodes\": {}}",
            "duplicate-key",
            json!({"line": 3}),
        ),
        (&deep, "json-too-deep", json!({})),
        ("", "not-json", json!({})),
    ];
    for (text, code, place) in texts {
        for (method, path) in [("PUT", "/workflows/won"), ("POST", "/workflows/validate")] {
            let path = format!("/api/v1{path}");
            let answer =
                scene.host.answer(scene.host.request(method, &path).body(text.to_owned())).await?;
            if text.is_empty() {
                // An empty body is null: JSON, but no workflow.
                ensure!(answer.text.contains("wrong-type"), "{}", answer.text);
                continue;
            }
            let problem = answer.problem(400, code).with_context(|| format!("{method} {code}"))?;
            ensure!(crate::scene::contains(&problem, &place), "not at {place}: {problem}");
        }
    }
    let large = json!({"name": "won", "summary": "x".repeat(2 << 20), "nodes": {}});
    scene.host.put("/workflows/won", &large).await?.problem(413, "body-too-large")?;

    let other = scene.host.put("/workflows/lost", &good()).await?;
    let problem = other.problem(422, "invalid-workflow")?;
    issue(&problem, "/name", "name-mismatch")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_path_has_one_way_to_be_taken() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    scene.host.apply(&good()).await?;
    let mut second = good();
    second["name"] = json!("second");
    // Two workflows may listen at one path, if they agree on how to take its requests.
    scene.host.apply(&second).await?;
    second["triggers"]["deal"]["webhook"]["verify"] = json!("none");
    let said = validate(&scene.host, &second).await?;
    ensure!(said["valid"] == false, "an open door beside a locked one: {said}");
    let body = json!({"id": "123456789"});
    let answer = scene.host.deliver_signed("deals", crate::scene::APP_SECRET, &body).await?;
    let answer = answer.expect(202)?;
    ensure!(answer["runs"].as_array().is_some_and(|runs| runs.len() == 2), "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_schema_takes_good_files_and_refuses_bad_ones() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let request = scene.host.anonymous("GET", "/api/v1/schema/workflow");
    let schema = scene.host.answer(request).await?.expect(200)?;
    let validator = jsonschema::draft202012::new(&schema)
        .map_err(|error| anyhow::anyhow!("the schema is none: {error}"))?;
    ensure!(validator.is_valid(&good()));
    let mut bad = good();
    bad["nodes"]["tier"]["wiht"] = json!({});
    ensure!(!validator.is_valid(&bad));
    Ok(())
}
