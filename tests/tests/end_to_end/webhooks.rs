//! The way in: who may send, what a body may be, what is the same event, and when the sender is
//! answered.

use anyhow::{Context, ensure};
use futures_util::{StreamExt, stream};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tombolo_tests::host::{TENANT, now_ms};
use tombolo_tests::hubspot::signed_delivery;
use tombolo_tests::{Host, HostOptions, Misbehaviour};

use crate::scene::{APP_SECRET, Scene, get_deal, with};

/// A workflow behind a webhook, with one node that keeps what came.
fn inbox(path: &str, webhook: Value) -> Value {
    let webhook = with(json!({"path": path}), webhook);
    json!({
        "name": "inbox",
        "triggers": {"arrived": {"webhook": webhook}},
        "nodes": {"kept": {"use": "set", "with": {"got": "${ .trigger }"}}}
    })
}

/// A host with an inbox that anybody may write to.
async fn open_inbox(options: HostOptions, more: Value) -> anyhow::Result<Host> {
    let host = Host::start(options).await?;
    host.apply(&inbox("inbox", with(json!({"verify": "none"}), more))).await?;
    Ok(host)
}

fn header(headers: &mut HeaderMap, name: &'static str, value: &str) -> anyhow::Result<()> {
    headers.append(HeaderName::from_static(name), HeaderValue::from_str(value)?);
    Ok(())
}

const SIGNATURE: &str = "x-hubspot-signature-v3";
const TIME: &str = "x-hubspot-request-timestamp";

#[tokio::test(flavor = "multi_thread")]
async fn only_who_signs_correctly_gets_in() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new()).await?;
    host.signing("app", APP_SECRET).await?;
    let verify = json!({"verify": {"preset": "hubspot-v3", "secrets": ["app"]}});
    host.apply(&inbox("inbox", verify)).await?;

    let body = json!({"n": 1}).to_string();
    let (url, now) = (host.hook("inbox"), now_ms());
    let signed = |secret: &str, url: &str, body: &str, at: i64| {
        signed_delivery(secret, url, body.as_bytes(), at)
    };
    let good = signed(APP_SECRET, &url, &body, now);
    let without = |name: &str| {
        let mut headers = good.clone();
        headers.remove(name);
        headers
    };
    let mut doubled = good.clone();
    header(&mut doubled, SIGNATURE, "AAAA")?;
    let mut twice_the_time = good.clone();
    header(&mut twice_the_time, TIME, &now.to_string())?;
    let mut half = without(SIGNATURE);
    header(&mut half, SIGNATURE, "not base64!")?;
    let mut soon = without(TIME);
    header(&mut soon, TIME, "soon")?;
    let elsewhere = url.replace("inbox", "outbox");
    const MINUTES: i64 = 60_000;
    let refused = [
        ("missing-signature", without(SIGNATURE)),
        ("missing-timestamp", without(TIME)),
        ("malformed-signature", half),
        // The time is signed, and the signature is looked at first.
        ("wrong-signature", soon),
        ("duplicate-header", doubled),
        ("duplicate-header", twice_the_time),
        ("wrong-signature", signed("another secret", &url, &body, now)),
        ("wrong-signature", signed(APP_SECRET, &elsewhere, &body, now)),
        ("wrong-signature", signed(APP_SECRET, &url, "{\"n\":2}", now)),
        ("stale-timestamp", signed(APP_SECRET, &url, &body, now - 6 * MINUTES)),
        ("future-timestamp", signed(APP_SECRET, &url, &body, now + 6 * MINUTES)),
    ];
    for (code, headers) in refused {
        let answer = host.post_hook("inbox", headers, body.clone()).await?;
        answer.problem(401, code).with_context(|| code)?;
        ensure!(!answer.text.contains(APP_SECRET), "the secret is told: {}", answer.text);
    }
    ensure!(host.runs("").await?.is_empty(), "a refused delivery started a run");

    host.post_hook("inbox", good, body).await?.expect(202)?;
    ensure!(host.runs("").await?.len() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_without_losing_a_delivery() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new()).await?;
    host.signing("old", "the old secret").await?;
    host.signing("new", "the new secret").await?;
    let verify = json!({"verify": {"preset": "hubspot-v3", "secrets": ["old", "new"]}});
    host.apply(&inbox("inbox", verify)).await?;
    let send =
        async |secret: &str, n: u32| host.deliver_signed("inbox", secret, &json!({ "n": n })).await;
    send("the old secret", 1).await?.expect(202)?;
    send("the new secret", 2).await?.expect(202)?;
    send("a third secret", 3).await?.problem(401, "wrong-signature")?;

    // The old one is taken away at our side: the new one alone is good, at once.
    host.connection("old", json!({"signing_secret": null})).await?;
    send("the old secret", 4).await?.problem(401, "wrong-signature")?;
    send("the new secret", 5).await?.expect(202)?;

    // With none left, nobody gets in.
    host.connection("new", json!({"signing_secret": null})).await?;
    send("the new secret", 6).await?.problem(401, "no-secret")?;
    ensure!(host.runs("").await?.len() == 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_of_ones_own_is_checked_as_strictly() -> anyhow::Result<()> {
    use base64::Engine;
    use hmac::{Hmac, Mac};

    let host = Host::start(HostOptions::new()).await?;
    host.signing("acme", "acme's secret").await?;
    let scheme = json!({
        "signature": {"header": "X-Signature", "form": "raw"},
        "accept": [{"algorithm": "hmac-sha256", "encoding": "base64"}],
        "content": ["body"]
    });
    let verify = json!({"verify": {"scheme": scheme, "secrets": ["acme"]}});
    host.apply(&inbox("acme", verify)).await?;
    let sign = |body: &str| -> anyhow::Result<HeaderMap> {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"acme's secret")?;
        mac.update(body.as_bytes());
        let text = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        let mut headers = HeaderMap::new();
        header(&mut headers, "x-signature", &text)?;
        Ok(headers)
    };
    host.post_hook("acme", sign("[1]")?, "[1]").await?.expect(202)?;
    host.post_hook("acme", sign("[1]")?, "[2]").await?.problem(401, "wrong-signature")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_however_it_comes() -> anyhow::Result<()> {
    const LIMIT: usize = 64 * 1024;
    let options = HostOptions::new().set("server.body_limit_bytes", LIMIT);
    let host = open_inbox(options, json!({})).await?;
    let text = |bytes: usize| format!("\"{}\"", "a".repeat(bytes - 2));

    host.post_hook("inbox", HeaderMap::new(), text(LIMIT)).await?.expect(202)?;
    let answer = host.post_hook("inbox", HeaderMap::new(), text(LIMIT + 1)).await?;
    ensure!(answer.problem(413, "body-too-large")?["limit_bytes"] == LIMIT, "{}", answer.text);
    // A sender that reads only after it has written everything is heard to the end.
    let answer = host.post_hook("inbox", HeaderMap::new(), text(100 * LIMIT)).await?;
    answer.problem(413, "body-too-large")?;

    // An announced length is enough: not a byte of it has to come.
    let path = format!("/hooks/{TENANT}/inbox");
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    let announced = format!("{head}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n", LIMIT + 1);
    let answer = host.raw(announced.as_bytes()).await?;
    ensure!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

    // Without a length, what comes is counted.
    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    let chunk = "a".repeat(LIMIT / 2);
    for _ in 0..3 {
        chunked.extend(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes());
    }
    chunked.extend(b"0\r\n\r\n");
    let answer = host.raw(&chunked).await?;
    ensure!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body-too-large"), "{answer}");

    ensure!(host.runs("").await?.len() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_limit_is_sixteen_mebibytes() -> anyhow::Result<()> {
    const LIMIT: usize = 16 * 1024 * 1024;
    let host = open_inbox(HostOptions::new(), json!({})).await?;
    let answer = host.post_hook("inbox", HeaderMap::new(), vec![b'1'; LIMIT + 1]).await?;
    ensure!(answer.problem(413, "body-too-large")?["limit_bytes"] == LIMIT, "{}", answer.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_acceptable_json_is_told_so_and_leaves_nothing() -> anyhow::Result<()> {
    let host = open_inbox(HostOptions::new(), json!({})).await?;
    let levels = |count: usize| format!("{}1{}", "[".repeat(count), "]".repeat(count));
    let refused: [(&str, Vec<u8>, Value); 6] = [
        ("not-utf8", b"{\"name\": \"\xff\xfe\"}".to_vec(), json!({"offset": 10})),
        ("not-json", b"{\n  \"a\": 1,\n}".to_vec(), json!({"line": 3, "column": 1})),
        ("not-json", b"hello".to_vec(), json!({"line": 1})),
        ("json-too-deep", levels(10_000).into_bytes(), json!({})),
        ("json-too-deep", levels(101).into_bytes(), json!({})),
        ("duplicate-key", b"{\"a\": 1,\n \"a\": 2}".to_vec(), json!({"line": 2})),
    ];
    for (code, body, place) in refused {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let answer = host.post_hook("inbox", HeaderMap::new(), body).await?;
        let problem = answer.problem(400, code).context(shown)?;
        ensure!(crate::scene::contains(&problem, &place), "not {place}: {problem}");
    }
    ensure!(host.runs("").await?.is_empty());

    host.post_hook("inbox", HeaderMap::new(), levels(100)).await?.expect(202)?;
    let deep_objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    host.post_hook("inbox", HeaderMap::new(), deep_objects).await?.problem(400, "json-too-deep")?;
    ensure!(host.runs("").await?.len() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_times_the_same_is_one_run() -> anyhow::Result<()> {
    const TIMES: usize = 100;
    const AT_ONCE: usize = 50;
    let host = open_inbox(HostOptions::new(), json!({})).await?;
    let body = json!({"order": 4711});
    let answers: Vec<anyhow::Result<Value>> = stream::iter(0..TIMES)
        .map(async |_| host.deliver("inbox", &body).await?.expect(202))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let answers = answers.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let sum = |name: &str| answers.iter().filter_map(|answer| answer[name].as_u64()).sum::<u64>();
    ensure!((sum("accepted"), sum("duplicates")) == (1, 99), "{answers:?}");
    ensure!(answers.iter().all(|answer| answer["runs"] == answers[0]["runs"]), "{answers:?}");
    ensure!(host.runs("").await?.len() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_same_event_is_for_the_workflow_to_say() -> anyhow::Result<()> {
    let host = open_inbox(HostOptions::new(), json!({"dedupe": "${ .id }"})).await?;
    let accepted = async |body: Value| {
        let answer = host.deliver("inbox", &body).await?.expect(202)?;
        answer["accepted"].as_u64().context("no figure")
    };
    ensure!(accepted(json!({"id": 1, "try": 1})).await? == 1);
    ensure!(accepted(json!({"id": 1, "try": 2})).await? == 0, "the same id is the same event");
    ensure!(accepted(json!({"id": 2, "try": 1})).await? == 1);

    host.apply(&inbox("inbox", json!({"verify": "none", "dedupe": {"header": "x-delivery"}})))
        .await?;
    let named = async |name: &str, body: &'static str| {
        let mut headers = HeaderMap::new();
        header(&mut headers, "x-delivery", name)?;
        let answer = host.post_hook("inbox", headers, body).await?.expect(202)?;
        answer["accepted"].as_u64().context("no figure")
    };
    ensure!(named("a", "1").await? == 1);
    ensure!(named("a", "2").await? == 0, "the same header is the same event");
    ensure!(named("b", "1").await? == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_split_into_its_items() -> anyhow::Result<()> {
    let host = open_inbox(HostOptions::new(), json!({"split": "${ .body.items }"})).await?;
    let answer = host.deliver("inbox", &json!({"items": [{"n": 1}, {"n": 2}]})).await?;
    let answer = answer.expect(202)?;
    ensure!(answer["accepted"] == 2, "{answer}");
    for (at, run) in answer["runs"].as_array().context("no runs")?.iter().enumerate() {
        let run = host.ended(run.as_str().unwrap_or_default()).await?;
        ensure!(run.step("kept")?.output() == &json!({"got": {"n": at + 1}}), "{run}");
    }
    let none = host.deliver("inbox", &json!({"items": []})).await?.expect(202)?;
    ensure!(none["accepted"] == 0 && none["runs"] == json!([]), "{none}");

    for wrong in [json!({"items": 7}), json!({}), json!({"items": vec![1; 1_001]})] {
        let answer = host.deliver("inbox", &wrong).await?;
        let problem = answer.problem(422, "trigger-expression-failed")?;
        let detail = problem["detail"].as_str().unwrap_or_default();
        ensure!(detail.contains("split") && detail.contains(".body.items"), "{detail}");
    }
    ensure!(host.runs("").await?.len() == 2);
    Ok(())
}

/// A workflow whose webhook waits for the result of reading a deal.
fn question(patience: &str) -> Value {
    json!({
        "name": "question",
        "triggers": {"asked": {"webhook": {
            "path": "question", "verify": "none", "respond": "result", "patience": patience,
            "dedupe": "${ .n }"
        }}},
        "nodes": {
            "deal": get_deal(),
            "answer": {"use": "respond", "after": ["deal"], "with": {
                "status": 201, "headers": {"X-Answer": "42", "Content-Length": "7"},
                "body": {"deal": "${ .steps.deal.name }", "n": "${ .trigger.n }"}
            }}
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_who_waits_gets_what_respond_says() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    scene.host.apply(&question("20s")).await?;
    let answer = scene.host.deliver("question", &json!({"n": 1})).await?;
    let expected = json!({"deal": "Acme Corp – Annual Plan", "n": 1});
    ensure!(answer.expect(201)? == expected, "{}", answer.text);
    ensure!(answer.header("x-answer") == "42", "{:?}", answer.headers);

    // The same event again, after its run has ended: the same answer, no second run.
    let again = scene.host.deliver("question", &json!({"n": 1})).await?;
    ensure!(again.expect(201)? == expected && scene.hubspot.calls().len() == 1);

    // A failed run is a problem for who waits for its result.
    scene.hubspot.misbehave(Misbehaviour::Status { status: 404 });
    let failed = scene.host.deliver("question", &json!({"n": 2})).await?;
    let problem = failed.problem(500, "run-failed")?;
    ensure!(problem["run"].as_str().is_some_and(|run| run.starts_with("run_")), "{problem}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_whose_patience_ends_gets_the_runs_address() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    scene.host.apply(&question("200ms")).await?;
    scene.hubspot.misbehave(Misbehaviour::Delay { delay_ms: 1_500 });
    let answer = scene.host.deliver("question", &json!({"n": 1})).await?;
    let body = answer.expect(202)?;
    let run = body["runs"][0].as_str().context("no run")?;
    ensure!(answer.header("location") == format!("/api/v1/runs/{run}"), "{:?}", answer.headers);
    // The run does not mind that nobody waits.
    let run = scene.host.ended(run).await?;
    run.is("succeeded", &[("answer", "succeeded")])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_listens_the_answer_is_not_found() -> anyhow::Result<()> {
    let host = open_inbox(HostOptions::new(), json!({})).await?;
    for path in ["/hooks/default/outbox", "/hooks/nobody/inbox", "/hooks/default/inbox/more"] {
        let answer = host.answer(host.anonymous("POST", path).body("1")).await?;
        answer.problem(404, "no-such-hook").with_context(|| path)?;
    }
    // Only POST delivers.
    for method in ["GET", "PUT", "DELETE"] {
        let answer = host.answer(host.anonymous(method, "/hooks/default/inbox")).await?;
        answer.problem(405, "wrong-method").with_context(|| method)?;
        ensure!(answer.header("allow") == "POST", "{:?}", answer.headers);
    }
    // A new version without the trigger closes the door.
    host.apply(&json!({"name": "inbox", "nodes": {"kept": {"use": "set"}}})).await?;
    host.deliver("inbox", &json!(1)).await?.problem(404, "no-such-hook")?;
    Ok(())
}
