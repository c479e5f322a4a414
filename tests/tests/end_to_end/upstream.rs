//! Upstreams that misbehave, and addresses that must not be called.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tombolo_tests::asana;
use tombolo_tests::host::RunView;
use tombolo_tests::{Host, HostOptions, Misbehaviour};

use crate::scene::{Scene, create_task, get_deal, quick_retry, with};

/// Runs the reading of a deal with this misbehaviour at every attempt.
async fn deal_with(scene: &Scene, misbehaviour: Misbehaviour) -> anyhow::Result<RunView> {
    scene.hubspot.misbehave(misbehaviour.times(2));
    let run = scene.host.run_to_end("deal", &json!({})).await?;
    run.is("failed", &[("deal", "dead")])?;
    Ok(run)
}

async fn scene() -> anyhow::Result<Scene> {
    let scene = Scene::start().await?;
    let node = with(get_deal(), json!({"retry": quick_retry(2), "timeout": "20s"}));
    scene.apply("deal", json!({"deal": node})).await?;
    Ok(scene)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_what_was_documented_is_named() -> anyhow::Result<()> {
    let scene = scene().await?;
    for misbehaviour in [Misbehaviour::Html, Misbehaviour::EmptyBody, Misbehaviour::MalformedJson] {
        let run = deal_with(&scene, misbehaviour.clone()).await?;
        let deal = run.step("deal")?;
        ensure!(deal.error_code() == "upstream-malformed-json", "{misbehaviour:?}\n{run}");
        ensure!(
            deal.error_class() == "permanent" && deal.attempts() == 1,
            "{misbehaviour:?}\n{run}"
        );
        ensure!(deal.error_message().contains("/crm/v3/objects/deals/"), "{run}");
        // One use of the rule is left.
        scene.hubspot.reset();
    }
    let run = deal_with(&scene, Misbehaviour::Html).await?;
    let shown = run.step("deal")?.0["error"]["details"]["body"].to_string();
    ensure!(shown.contains("We will be back soon"), "the page is not shown\n{run}");

    // The unsafe call was answered: it was done, or not, but not again.
    scene
        .apply("task", json!({"task": with(create_task("t"), json!({"retry": quick_retry(5)}))}))
        .await?;
    scene.asana.misbehave(Misbehaviour::Html);
    let run = scene.host.run_to_end("task", &json!({})).await?;
    ensure!(run.state() == "failed" && scene.asana.calls().len() == 1, "{run}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn five_gigabytes_are_not_swallowed() -> anyhow::Result<()> {
    let scene = scene().await?;
    let run = deal_with(&scene, Misbehaviour::Oversized { bytes: 5_000_000_000 }).await?;
    let deal = run.step("deal")?;
    ensure!(deal.error_code() == "response-too-large" && deal.attempts() == 1, "{run}");
    let on_record = deal.calls()[0]["error"].to_string();
    ensure!(on_record.contains("max_response_bytes"), "the limit is not named: {on_record}");
    let peak = scene.host.peak_bytes().await?;
    ensure!(peak < 512 * 1024 * 1024, "it took {peak} bytes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_trickles_ends_in_the_connections_time_limit() -> anyhow::Result<()> {
    let scene = scene().await?;
    let auth = json!({"kind": "bearer", "token": tombolo_tests::hubspot::TOKEN});
    let form = json!({"base_url": scene.hubspot.origin(), "auth": auth, "limits": {"total_timeout_ms": 400}});
    scene.host.connection("hubspot", form).await?;
    for misbehaviour in [Misbehaviour::Slow { byte_delay_ms: 100 }, Misbehaviour::Hang] {
        scene.hubspot.reset();
        let run = deal_with(&scene, misbehaviour).await?;
        let deal = run.step("deal")?;
        ensure!((deal.attempts(), deal.error_class()) == (2, "transient"), "{run}");
        let on_record = deal.calls()[0]["error"].to_string();
        ensure!(on_record.contains("within 400 ms"), "the limit is not named: {on_record}");
    }
    Ok(())
}

/// A workflow with one GET through the connection `target`.
async fn apply_get(host: &Host, target: Value) -> anyhow::Result<()> {
    let node = json!({"use": "http.get", "connection": "target", "with": target});
    host.apply(&json!({"name": "get", "nodes": {"get": node}})).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() -> anyhow::Result<()> {
    let elsewhere = asana::start().await?;
    let scene = Scene::start_with(HostOptions::new().allow(&elsewhere.origin())).await?;
    scene.host.connection("target", json!({"base_url": scene.hubspot.origin()})).await?;
    apply_get(&scene.host, json!({"path": "/crm/v3/objects/deals/1"})).await?;
    let metadata = "http://169.254.169.254/latest/meta-data/".to_owned();
    let locations =
        [metadata, format!("{}/", elsewhere.origin()), "http://127.0.0.1:1/".to_owned()];
    for location in locations {
        scene.hubspot.misbehave(Misbehaviour::Redirect { location: location.clone() });
        let run = scene.host.run_to_end("get", &json!({})).await?;
        run.is("failed", &[("get", "dead")])?;
        let get = run.step("get")?;
        ensure!(get.error_code() == "http-307" && get.calls().len() == 1, "{location}\n{run}");
    }
    ensure!(elsewhere.calls().is_empty(), "a redirect was followed");
    ensure!(scene.hubspot.calls().len() == 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_are_refused_with_the_line_that_would_allow_them() -> anyhow::Result<()> {
    let inside = asana::start().await?;
    let host = Host::start(HostOptions::new()).await?;
    let port = inside.address().port();
    let addresses = [
        (format!("127.0.0.1:{port}"), format!("127.0.0.1:{port}")),
        (format!("localhost:{port}"), format!("localhost:{port}")),
        (format!("2130706433:{port}"), format!("127.0.0.1:{port}")),
        (format!("[::ffff:127.0.0.1]:{port}"), format!("[::ffff:7f00:1]:{port}")),
        ("169.254.169.254".to_owned(), "169.254.169.254:80".to_owned()),
        ("10.0.0.1:8080".to_owned(), "10.0.0.1:8080".to_owned()),
        ("192.168.1.1".to_owned(), "192.168.1.1:80".to_owned()),
        ("[::1]:9".to_owned(), "[::1]:9".to_owned()),
    ];
    for (address, line) in addresses {
        host.connection("target", json!({"base_url": format!("http://{address}")})).await?;
        apply_get(&host, json!({"path": "/"})).await?;
        let run = host.run_to_end("get", &json!({})).await?;
        run.is("failed", &[("get", "dead")])?;
        let get = run.step("get")?;
        ensure!(get.error_class() == "permanent" && get.attempts() == 1, "{address}\n{run}");
        ensure!(get.error_code() == "request-refused", "{address}\n{run}");
        ensure!(get.error_message().contains("the record of the step's calls"), "{run}");
        let refusal = get.calls()[0]["error"].as_str().context("no error on record")?.to_owned();
        ensure!(refusal.starts_with("refused: "), "{address}: {refusal}");
        ensure!(
            refusal.contains("allow") && refusal.contains(&line),
            "{line} is not in: {refusal}"
        );
    }
    ensure!(inside.calls().is_empty(), "a private address was called");

    // With the line it goes through.
    let host = Host::start(HostOptions::new().allow(&inside.origin())).await?;
    host.bearer("target", &inside.base_url(), asana::TOKEN).await?;
    apply_get(&host, json!({"path": "/projects/1", "expect": [404]})).await?;
    host.run_to_end("get", &json!({})).await?.is("succeeded", &[])?;
    ensure!(inside.calls().len() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_calls_its_connections_host_and_no_other() -> anyhow::Result<()> {
    let other = asana::start().await?;
    let scene = Scene::start_with(HostOptions::new().allow(&other.origin())).await?;
    scene.host.bearer("target", &scene.hubspot.origin(), "a-token-of-the-target").await?;
    for url in [format!("{}/x", other.origin()), "https://evil.example/".to_owned()] {
        apply_get(&scene.host, json!({ "url": url })).await?;
        let run = scene.host.run_to_end("get", &json!({})).await?;
        run.is("failed", &[("get", "dead")])?;
        let refusal = run.step("get")?.calls()[0]["error"].to_string();
        ensure!(refusal.contains("refused: ") && refusal.contains("allowed_hosts"), "{refusal}");
    }
    ensure!(other.calls().is_empty());

    // Allowed by the connection it is called, without the connection's credentials.
    let auth = json!({"kind": "bearer", "token": "a-token-of-the-target"});
    let form = json!({"base_url": scene.hubspot.origin(), "auth": auth,
                      "allowed_hosts": [other.address().to_string()]});
    scene.host.connection("target", form).await?;
    apply_get(&scene.host, json!({"url": format!("{}/x", other.origin()), "expect": [401, 404]}))
        .await?;
    scene.host.run_to_end("get", &json!({})).await?.is("succeeded", &[])?;
    let calls = other.calls();
    ensure!(calls.len() == 1 && calls[0].header("authorization").is_none(), "{calls:?}");

    // A node without a connection calls nobody.
    let node = json!({"use": "http.get", "with": {"url": other.origin()}});
    scene.apply("loose", json!({"get": node})).await?;
    let run = scene.host.run_to_end("loose", &json!({})).await?;
    run.is("failed", &[("get", "dead")])?;
    ensure!(other.calls().len() == 1, "{run}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_idempotency_key_and_correlation_id_go_with_a_call() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    scene.apply("both", json!({"deal": get_deal(), "task": create_task("t")})).await?;
    let request = scene.host.request("POST", "/api/v1/workflows/both/runs");
    let answer =
        scene.host.answer(request.header("x-correlation-id", "trace-7").body("{}")).await?;
    let run = answer.expect(202)?["run"].as_str().context("no run")?.to_owned();
    scene.host.ended(&run).await?.is("succeeded", &[])?;
    let (get, post) = (&scene.hubspot.calls()[0], &scene.asana.calls()[0]);
    ensure!(get.header("authorization") == Some("Bearer hubspot-standin-token"));
    ensure!(post.header("authorization") == Some("Bearer asana-standin-token"));
    ensure!(get.idempotency_key.is_none() && post.idempotency_key.is_some());
    for call in [get, post] {
        ensure!(call.header("x-correlation-id") == Some("trace-7"), "{call:?}");
        ensure!(call.header("user-agent").is_some_and(|agent| agent.starts_with("tombolo/")));
    }
    Ok(())
}
