//! The HTTP API: starting once, waiting, lists, streams, tokens, problems, and its own description.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tombolo_tests::host::Answer;
use tombolo_tests::{Host, HostOptions, Misbehaviour};

use crate::scene::{Scene, get_deal};

/// A host with a workflow that gives back what it was given.
async fn echo() -> anyhow::Result<Host> {
    let host = Host::start(HostOptions::new()).await?;
    let echo = json!({"echo": {"use": "set", "with": {"got": "${ .trigger }"}}});
    host.apply(&json!({"name": "echo", "nodes": echo})).await?;
    Ok(host)
}

const START: &str = "/api/v1/workflows/echo/runs";

async fn keyed(host: &Host, key: &str, body: &'static str) -> anyhow::Result<Answer> {
    let request = host.request("POST", START).header("idempotency-key", key).body(body);
    host.answer(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_is_the_same_run() -> anyhow::Result<()> {
    let host = echo().await?;
    let first = keyed(&host, "\"order-17\"", "{\"a\": 1, \"b\": 2}").await?;
    let told = first.expect(202)?;
    ensure!(first.header("idempotency-replayed").is_empty(), "{:?}", first.headers);
    ensure!(first.header("location") == told["href"], "{:?}", first.headers);

    // Content counts, not its spelling: neither quotes nor order nor white space.
    for (key, body) in
        [("\"order-17\"", "{\"a\": 1, \"b\": 2}"), ("order-17", " {\"b\":2,\"a\":1} ")]
    {
        let again = keyed(&host, key, body).await?;
        let replayed = again.expect(202)?;
        ensure!(replayed["run"] == told["run"] && replayed["event"] == told["event"], "{replayed}");
        ensure!(again.header("idempotency-replayed") == "true", "{:?}", again.headers);
    }
    // The same key for something else is a mistake of the caller.
    keyed(&host, "order-17", "{\"a\": 2}").await?.problem(422, "idempotency-key-reused")?;
    for key in ["\"", "a b", "\"\"", "\"a\" \"b\"", "a,b", &"k".repeat(256)] {
        let answer = keyed(&host, key, "{}").await?;
        answer.problem(400, "idempotency-key-invalid").with_context(|| key.to_owned())?;
    }
    let twice = host.request("POST", START).header("idempotency-key", "a");
    let twice = host.answer(twice.header("idempotency-key", "b").body("{}")).await?;
    twice.problem(400, "idempotency-key-invalid")?;
    ensure!(host.runs("").await?.len() == 1);

    // Without a key, every start is a run.
    for _ in 0..2 {
        host.start_run("echo", &json!({"a": 1})).await?;
    }
    ensure!(host.runs("").await?.len() == 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_starts_with_one_key_at_once_are_one_run() -> anyhow::Result<()> {
    const AT_ONCE: usize = 40;
    let host = echo().await?;
    let answers: Vec<anyhow::Result<Answer>> = stream::iter(0..AT_ONCE)
        .map(async |_| keyed(&host, "one", "[1]").await)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut runs = BTreeSet::new();
    let mut fresh = 0;
    for answer in answers {
        let answer = answer?;
        runs.insert(answer.expect(202)?["run"].to_string());
        fresh += usize::from(answer.header("idempotency-replayed").is_empty());
    }
    ensure!(runs.len() == 1 && fresh == 1, "{runs:?}, {fresh} of them first");
    ensure!(host.runs("").await?.len() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_prefers_to_wait_gets_the_answer() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let nodes = json!({
        "deal": get_deal(),
        "answer": {"use": "set", "after": ["deal"], "with": {"name": "${ .steps.deal.name }"}}
    });
    scene.apply("ask", nodes).await?;
    let ask = |wait: &str, key: &str| {
        let request = scene.host.request("POST", "/api/v1/workflows/ask/runs").body("{}");
        scene.host.answer(request.header("prefer", wait).header("idempotency-key", key))
    };
    let answer = ask("wait=20", "a").await?;
    ensure!(answer.expect(200)? == json!({"name": "Acme Corp – Annual Plan"}), "{}", answer.text);
    ensure!(answer.header("preference-applied") == "wait=20", "{:?}", answer.headers);
    let run = answer.header("tombolo-run").to_owned();
    ensure!(run.starts_with("run_"), "{:?}", answer.headers);
    // The same request again: the same answer of the same run.
    let again = ask("wait=20", "a").await?;
    ensure!(again.expect(200)? == answer.json() && again.header("tombolo-run") == run);

    // It takes longer than the caller waits: 202 first, and a conflict while there is no answer.
    scene.hubspot.misbehave(Misbehaviour::Delay { delay_ms: 2_500 });
    let late = ask("wait=1", "b").await?;
    let started = late.expect(202)?;
    ensure!(late.header("location") == started["href"], "{:?}", late.headers);
    let conflict = ask("wait=1", "b").await?;
    let problem = conflict.problem(409, "idempotency-key-in-use")?;
    ensure!(problem["href"] == started["href"] && !conflict.header("retry-after").is_empty());
    scene.host.ended(started["run"].as_str().context("no run")?).await?.is("succeeded", &[])?;

    // A run that failed is a problem, with what failed.
    scene.hubspot.misbehave(Misbehaviour::Status { status: 403 });
    let failed = ask("wait=20", "c").await?.problem(500, "run-failed")?;
    ensure!(failed["error"]["class"] == "permanent", "{failed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_page_by_page_and_by_filters() -> anyhow::Result<()> {
    let host = echo().await?;
    let fails = json!({"fails": {"use": "switch", "with": {"ports": {"a": "${ .trigger.a }"}}}});
    host.apply(&json!({"name": "fails", "nodes": fails})).await?;
    let mut started = Vec::new();
    for n in 0..7 {
        let workflow = if n % 3 == 2 { "fails" } else { "echo" };
        let run = host.start_run(workflow, &json!({"a": false})).await?;
        host.ended(&run).await?;
        started.insert(0, run);
    }
    let ids = |items: &[Value]| -> Vec<String> {
        items.iter().map(|item| item["id"].as_str().unwrap_or_default().to_owned()).collect()
    };
    ensure!(ids(&host.runs("").await?) == started, "not the newest first");

    // Pages of three: everything once, in order, and an end.
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = host.get(&format!("/runs?limit=3{cursor}")).await?.expect(200)?;
        seen.extend(ids(page["items"].as_array().context("no items")?));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    ensure!(seen == started && pages == 3, "{pages} pages: {seen:?}");

    let of_fails: Vec<_> = [1, 4].map(|at| started[at].clone()).into();
    ensure!(ids(&host.runs("workflow=fails").await?) == of_fails);
    ensure!(ids(&host.runs("state=failed").await?) == of_fails);
    ensure!(host.runs("state=failed,succeeded").await?.len() == 7);
    ensure!(host.runs("workflow=echo&state=failed").await?.is_empty());
    ensure!(host.runs("workflow=nothing").await?.is_empty());
    let third =
        host.run(&started[4]).await?.0["created_at"].as_str().unwrap_or_default().to_owned();
    let third = third.replace('+', "%2B");
    ensure!(host.runs(&format!("since={third}")).await?.len() == 5, "since {third}");
    ensure!(host.runs(&format!("until={third}")).await?.len() == 2, "until {third}");
    let correlation = host.run(&started[0]).await?.0["correlation_id"].clone();
    let found =
        host.runs(&format!("correlation_id={}", correlation.as_str().unwrap_or("?"))).await?;
    ensure!(ids(&found) == started[..1], "{found:?}");

    for (query, code) in [
        ("limit=0", "invalid-query"),
        ("limit=201", "invalid-query"),
        ("limit=many", "invalid-query"),
        ("state=done", "invalid-query"),
        ("since=yesterday", "invalid-query"),
        ("colour=red", "invalid-query"),
        ("cursor=nonsense", "invalid-cursor"),
    ] {
        host.get(&format!("/runs?{query}")).await?.problem(400, code).context(query)?;
    }
    Ok(())
}

/// The `event:` and `data:` of each message of a stream that ends.
fn messages(text: &str) -> Vec<(String, Value)> {
    let field = |message: &str, name: &str| {
        let line = message.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim_start().to_owned())
    };
    let read = |message: &str| {
        let data = serde_json::from_str(&field(message, "data:")?).ok()?;
        Some((field(message, "event:")?, data))
    };
    text.split("\n\n").filter_map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_followed_to_its_end() -> anyhow::Result<()> {
    const LIMIT: Duration = Duration::from_secs(30);
    let scene = Scene::start().await?;
    scene
        .apply("deal", json!({"deal": get_deal(), "then": {"use": "set", "after": ["deal"]}}))
        .await?;
    scene.hubspot.misbehave(Misbehaviour::Delay { delay_ms: 500 });
    let run = scene.host.start_run("deal", &json!({})).await?;
    let follow = async || {
        let request = scene.host.request("GET", &format!("/api/v1/runs/{run}/events"));
        let answer = tokio::time::timeout(LIMIT, scene.host.answer(request)).await;
        answer.context("the stream does not end")?
    };
    let stream = follow().await?;
    stream.expect(200)?;
    ensure!(stream.header("content-type").starts_with("text/event-stream"), "{:?}", stream.headers);
    let told = messages(&stream.text);
    let (first, last) =
        (told.first().context("nothing was told")?, told.last().context("nothing")?);
    ensure!(first.0 == "snapshot" && first.1["id"] == run.as_str(), "{}", stream.text);
    ensure!(last.0 == "run" && last.1["state"] == "succeeded", "{}", stream.text);
    for node in ["deal", "then"] {
        let said = |(event, data): &(String, Value)| {
            event == "step" && data["node"] == node && data["state"] == "succeeded"
        };
        ensure!(told.iter().any(said), "nothing about {node}: {}", stream.text);
    }
    // Whoever comes late is told how it ended.
    let late = messages(&follow().await?.text);
    ensure!(late.len() == 1 && late[0].1["state"] == "succeeded", "{late:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_what_its_scopes_say_and_nothing_else() -> anyhow::Result<()> {
    let host = echo().await?;
    let made = host.post("/tokens", &json!({"name": "reader", "scopes": ["runs:read"]})).await?;
    let made = made.expect(201)?;
    let reader = made["token"].as_str().context("no token")?.to_owned();
    ensure!(reader.starts_with("tbl_") && made["scopes"] == json!(["runs:read"]), "{made}");

    let with = async |token: &str, method: &str, path: &str| {
        host.answer(host.anonymous(method, path).bearer_auth(token).body("{}")).await
    };
    with(&reader, "GET", "/api/v1/runs").await?.expect(200)?;
    for (method, path, scope) in [
        ("POST", START, "runs:write"),
        ("GET", "/api/v1/workflows", "workflows:read"),
        ("PUT", "/api/v1/workflows/echo", "workflows:write"),
        ("GET", "/api/v1/connections", "connections:read"),
        ("PUT", "/api/v1/connections/x", "connections:write"),
        ("GET", "/api/v1/plugins", "plugins:read"),
        ("POST", "/api/v1/plugins", "plugins:write"),
        ("POST", "/api/v1/tokens", "tokens:write"),
    ] {
        let answer = with(&reader, method, path).await?;
        let problem = answer.problem(403, "forbidden").context(path)?;
        ensure!(problem["scope"] == scope, "{problem}");
        for nobody in ["tbl_0000000000000000000000000000000000000000000", "", "x"] {
            with(nobody, method, path).await?.problem(401, "unauthorized").context(path)?;
        }
        let answer = host.answer(host.anonymous(method, path).body("{}")).await?;
        answer.problem(401, "unauthorized").context(path)?;
        ensure!(answer.header("www-authenticate").starts_with("Bearer"), "{:?}", answer.headers);
    }
    // Nobody gives what they do not have.
    let maker = host.post("/tokens", &json!({"name": "maker", "scopes": ["tokens:write"]})).await?;
    let maker = maker.expect(201)?["token"].as_str().context("no token")?.to_owned();
    let more = json!({"name": "more", "scopes": ["runs:write"]});
    let request = host.anonymous("POST", "/api/v1/tokens").bearer_auth(&maker).json(&more);
    let problem = host.answer(request).await?.problem(403, "scope-exceeded")?;
    ensure!(problem["scope"] == "runs:write", "{problem}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_is_a_problem_that_says_what_to_do() -> anyhow::Result<()> {
    let host = echo().await?;
    let unknown = "run_01980000000070008000000000000001";
    let wrong: [(&str, String, &str, u16, &str); 16] = [
        ("GET", "/nowhere".into(), "", 404, "unknown-route"),
        ("GET", "/api/v1/nowhere".into(), "", 404, "unknown-route"),
        ("DELETE", "/api/v1/runs".into(), "", 405, "wrong-method"),
        ("GET", "/api/v1/runs/nonsense".into(), "", 400, "invalid-id"),
        ("GET", format!("/api/v1/runs/{unknown}"), "", 404, "run-not-found"),
        ("POST", format!("/api/v1/runs/{unknown}/cancel"), "", 404, "run-not-found"),
        ("GET", format!("/api/v1/runs/{unknown}/events"), "", 404, "run-not-found"),
        ("GET", unknown.replace("run_", "/api/v1/events/evt_"), "", 404, "event-not-found"),
        ("POST", "/api/v1/workflows/nothing/runs".into(), "{}", 404, "workflow-not-found"),
        ("GET", "/api/v1/workflows/echo/versions/9".into(), "", 404, "version-not-found"),
        ("GET", "/api/v1/plugins/nothing".into(), "", 404, "plugin-not-found"),
        ("GET", "/api/v1/connections/nothing".into(), "", 404, "connection-not-found"),
        ("POST", START.into(), "{\"a\":", 400, "not-json"),
        ("POST", START.into(), "{\"a\":1,\"a\":2}", 400, "duplicate-key"),
        ("PUT", "/api/v1/connections/x".into(), "{\"bse_url\":\"y\"}", 422, "invalid-body"),
        ("GET", "/problems/nothing".into(), "", 404, "problem-not-found"),
    ];
    for (method, path, body, status, code) in wrong {
        let answer = host.answer(host.request(method, &path).body(body)).await?;
        let problem = answer.problem(status, code).with_context(|| format!("{method} {path}"))?;
        ensure!(problem["instance"] == path.as_str(), "{problem}");
        ensure!(problem["correlation_id"] == answer.header("x-correlation-id"), "{problem}");
        // The type leads to an explanation.
        let meaning = host.answer(host.anonymous("GET", &format!("/problems/{code}"))).await?;
        let meaning = meaning.expect(200)?;
        ensure!(meaning["status"] == status && meaning["advice"].is_string(), "{meaning}");
    }
    let text = host.request("POST", START).header("content-type", "text/html").body("<p>");
    host.answer(text).await?.problem(415, "unsupported-media-type")?;
    // The caller's correlation id comes back and goes with the run.
    let request = host.request("POST", START).header("x-correlation-id", "mine-1").body("{}");
    let answer = host.answer(request).await?;
    ensure!(answer.header("x-correlation-id") == "mine-1", "{:?}", answer.headers);
    ensure!(host.runs("correlation_id=mine-1").await?.len() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_plugins_and_events_can_be_looked_at() -> anyhow::Result<()> {
    let host = echo().await?;
    let file =
        |summary: &str| json!({"name": "echo", "summary": summary, "nodes": {"a": {"use": "set"}}});
    ensure!(host.apply(&file("two")).await?["version"] == 2);
    let same = host.put("/workflows/echo", &file("two")).await?;
    ensure!(same.expect(200)?["status"] == "unchanged", "{}", same.text);
    let versions = host.get("/workflows/echo/versions").await?.expect(200)?;
    let numbers: Vec<_> =
        versions["items"].as_array().into_iter().flatten().map(|item| &item["version"]).collect();
    ensure!(numbers == [2, 1], "{versions}");
    ensure!(versions["items"][0]["live"] == true && versions["items"][1]["live"] == false);
    let first = host.get("/workflows/echo/versions/1").await?.expect(200)?;
    ensure!(first["definition"]["nodes"]["echo"]["use"] == "set", "{first}");

    let plugins = host.get("/plugins").await?.expect(200)?;
    let names: BTreeSet<_> = plugins["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|p| p["name"].as_str())
        .collect();
    ensure!(names == BTreeSet::from(["asana", "data", "http", "hubspot", "switch"]), "{names:?}");
    let detail = host.get("/plugins/hubspot").await?.expect(200)?;
    let operations = &detail["items"][0]["descriptor"]["operations"];
    let deal = operations.as_array().into_iter().flatten().find(|o| o["name"] == "get-deal");
    ensure!(deal.context("no get-deal")?["params"]["properties"]["id"].is_object(), "{detail}");

    let run = host.run_to_end("echo", &json!({"n": 1})).await?;
    let event = run.0["event"].as_str().context("no event")?;
    let event = host.get(&format!("/events/{event}")).await?.expect(200)?;
    ensure!(event["trigger"] == json!({"n": 1}) && event["runs"] == json!([run.id()]), "{event}");
    ensure!(event["source"] == "api:echo", "{event}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_sound_and_leads_nowhere_else() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new().first_start()).await?;
    let document = host.answer(host.anonymous("GET", "/openapi.json")).await?.expect(200)?;
    ensure!(document["openapi"].as_str().is_some_and(|v| v.starts_with("3.1.")), "{document}");
    unresolved(&document, &document)?;

    let paths = document["paths"].as_object().context("no paths")?;
    let mut operations = BTreeSet::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let id = operation["operationId"].as_str().with_context(|| path.clone())?;
            ensure!(operations.insert(id.to_owned()), "two operations are called {id}");
            ensure!(
                operation["responses"].as_object().is_some_and(|all| !all.is_empty()),
                "{path}"
            );
            let open = !path.starts_with("/api/v1/") || path == "/api/v1/schema/workflow";
            let secured = operation["security"].as_array().is_some_and(|all| !all.is_empty());
            ensure!(open != secured, "{method} {path}: {}", operation["security"]);
            // What is described is there, and what needs a token asks for it.
            let asked = fill(path);
            let answer = host.answer(host.anonymous(&method.to_uppercase(), &asked)).await?;
            if open {
                ensure!(answer.status != 405 && !answer.text.contains("unknown-route"), "{path}");
            } else {
                answer.problem(401, "unauthorized").with_context(|| format!("{method} {path}"))?;
            }
        }
    }
    // Every capability of the item 10 is described.
    for path in [
        "/api/v1/plugins",
        "/api/v1/workflows",
        "/api/v1/workflows/{name}",
        "/api/v1/workflows/{name}/runs",
        "/api/v1/workflows/{name}/versions",
        "/api/v1/workflows/{name}/versions/{version}",
        "/api/v1/workflows/validate",
        "/api/v1/connections",
        "/api/v1/connections/{name}",
        "/api/v1/runs",
        "/api/v1/runs/{id}",
        "/api/v1/runs/{id}/steps",
        "/api/v1/runs/{id}/steps/{node}",
        "/api/v1/runs/{id}/cancel",
        "/api/v1/runs/{id}/events",
        "/api/v1/events/{id}",
        "/api/v1/tokens",
        "/healthz",
        "/readyz",
    ] {
        ensure!(paths.contains_key(path), "{path} is not described");
    }
    Ok(())
}

/// Checks that every `$ref` leads somewhere in the document.
fn unresolved(value: &Value, document: &Value) -> anyhow::Result<()> {
    match value {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').context(reference.to_owned())?;
                ensure!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            fields.values().try_for_each(|inner| unresolved(inner, document))
        }
        Value::Array(items) => items.iter().try_for_each(|inner| unresolved(inner, document)),
        _ => Ok(()),
    }
}

/// An address of this form, with ids that nothing has.
fn fill(path: &str) -> String {
    path.replace("/runs/{id}", "/runs/run_01980000000070008000000000000001")
        .replace("/events/{id}", "/events/evt_01980000000070008000000000000001")
        .replace("{version}", "1")
        .replace("{name}", "nothing")
        .replace("{node}", "nothing")
        .replace("{code}", "unauthorized")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_api_comes_whole_with_the_binary() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new().first_start()).await?;
    let moved = host.answer(host.anonymous("GET", "/docs")).await?;
    ensure!(moved.header("location") == "/docs/", "{:?}", moved.headers);
    let page = host.answer(host.anonymous("GET", "/docs/")).await?;
    page.expect(200)?;
    let policy = page.header("content-security-policy");
    ensure!(policy.contains("default-src 'self'"), "other sites could be loaded: {policy}");

    let mut files = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        let parts = page.text.split(attribute).skip(1);
        files.extend(parts.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
    }
    ensure!(files.iter().any(|file| file.ends_with(".js")), "no script: {}", page.text);
    for file in &files {
        ensure!(!file.contains("//"), "{file} comes from elsewhere");
        let path = format!("/docs/{}", file.trim_start_matches("./"));
        let answer = host.answer(host.anonymous("GET", &path)).await?;
        answer.expect(200).context(path.clone())?;
        if file.contains("initializer") {
            ensure!(answer.text.contains("/openapi.json"), "{}", answer.text);
            ensure!(!answer.text.contains("://"), "it leads elsewhere: {}", answer.text);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secrets_of_connections_go_in_and_never_come_out() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new().first_start()).await?;
    let forms = [
        ("a", json!({"kind": "bearer", "token": "canary-bearer-token"})),
        ("b", json!({"kind": "basic", "user": "me", "password": "canary-password"})),
        ("c", json!({"kind": "header", "name": "X-Key", "value": "canary-header-value"})),
        ("d", json!({"kind": "query", "name": "key", "value": "canary-query-value"})),
    ];
    for (name, auth) in &forms {
        let form = json!({"base_url": "https://a.example", "auth": auth, "signing_secret": "canary-signing"});
        let answer = host.put(&format!("/connections/{name}"), &form).await?;
        ensure!(answer.expect(201)?["auth"]["kind"] == auth["kind"], "{}", answer.text);
        let shown = host.get(&format!("/connections/{name}")).await?;
        ensure!(shown.expect(200)?["has_signing_secret"] == true, "{}", shown.text);
        for text in [answer.text, shown.text] {
            ensure!(!text.contains("canary"), "{text}");
        }
    }
    let list = host.get("/connections").await?;
    list.expect(200)?;
    ensure!(!list.text.contains("canary"), "{}", list.text);

    // Stored credentials cannot be sent to another address, but they stay at the same one.
    let moved = json!({"base_url": "https://b.example"});
    host.put("/connections/a", &moved).await?.problem(422, "credentials-required")?;
    let kept = host.put("/connections/a", &json!({"base_url": "https://a.example"})).await?;
    ensure!(kept.expect(200)?["auth"]["kind"] == "bearer", "{}", kept.text);

    // What is wrong with a form is said without what was written.
    let wrong = json!({"auth": {"kind": "bearer", "token": {"canary": "canary"}}});
    let answer = host.put("/connections/a", &wrong).await?;
    let problem = answer.problem(422, "invalid-body")?;
    ensure!(problem["pointer"].as_str().is_some_and(|p| p.starts_with("/auth")), "{problem}");
    ensure!(!problem["detail"].to_string().contains("canary"), "{problem}");
    Ok(())
}
