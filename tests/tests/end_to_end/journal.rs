//! A step that makes several calls and fails at one of them repeats that one only.

use std::sync::Arc;
use std::sync::Mutex;

use anyhow::ensure;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tombolo_tests::host::{RunView, guest, poll};
use tombolo_tests::{Host, HostOptions};

/// A server that refuses the first call of a path that begins with `/once/` or `/hang/`, never
/// answers the second one of `/hang/`, and counts.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<Vec<String>>>);

impl Counting {
    async fn start(&self) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let authority = listener.local_addr()?.to_string();
        let counting = self.clone();
        let answer = async move |uri: Uri| {
            let path = uri.path().to_owned();
            let seen = counting.note(&path);
            if path.starts_with("/hang/") && seen == 2 {
                std::future::pending::<()>().await;
            }
            let odd = path.starts_with("/once/") || path.starts_with("/hang/");
            let refused = odd && seen == 1;
            let status =
                if refused { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::CREATED };
            (status, path)
        };
        let router = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(authority)
    }

    fn note(&self, path: &str) -> usize {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(path.to_owned());
        self.count(path)
    }

    fn count(&self, path: &str) -> usize {
        let calls = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        calls.iter().filter(|known| *known == path).count()
    }
}

fn calls(authority: &str, paths: &[&str]) -> Value {
    let post =
        |path: &&str| json!({"method": "POST", "authority": authority, "path": path, "body": "{}"});
    json!({"requests": paths.iter().map(post).collect::<Vec<_>>()})
}

async fn host(options: HostOptions, authority: &str) -> anyhow::Result<Host> {
    let origin = format!("http://{authority}");
    let host = Host::start(options.allow(&origin)).await?;
    host.add_plugin(&guest("caller")?).await?;
    host.connection("api", json!({ "base_url": origin })).await?;
    Ok(host)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_were_answered_are_not_made_again() -> anyhow::Result<()> {
    let upstream = Counting::default();
    let authority = upstream.start().await?;
    let host = host(HostOptions::new(), &authority).await?;
    let node = json!({
        "use": "caller.calls", "connection": "api",
        "with": calls(&authority, &["/a", "/b", "/once/c", "/d"]),
        "retry": {"attempts": 3, "backoff": {"first": "1ms"}},
    });
    host.apply(&json!({"name": "several", "nodes": {"calls": node}})).await?;
    let run = host.run_to_end("several", &json!({})).await?;
    run.is("succeeded", &[])?;
    let counts = ["/a", "/b", "/once/c", "/d"].map(|path| upstream.count(path));
    ensure!(counts == [1, 1, 2, 1], "{counts:?}\n{run}");
    let step = run.step("calls")?;
    ensure!(step.attempts() == 2, "{run}");
    ensure!(*step.output() == json!(["/a", "/b", "/once/c", "/d"]), "{run}");
    let second: Vec<&Value> = step
        .calls()
        .iter()
        .filter(|call| call["attempt"] == 2)
        .map(|call| &call["from_journal"])
        .collect();
    ensure!(second == [&json!(true), &json!(true), &Value::Null, &Value::Null], "{run}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_outlives_the_process() -> anyhow::Result<()> {
    let upstream = Counting::default();
    let authority = upstream.start().await?;
    let host = host(HostOptions::new(), &authority).await?;
    let node = json!({
        "use": "caller.calls", "connection": "api", "effect": "keyed",
        "with": calls(&authority, &["/a", "/hang/b"]),
        "retry": {"attempts": 3, "backoff": {"first": "1ms"}},
    });
    host.apply(&json!({"name": "several", "nodes": {"calls": node}})).await?;
    let id = host.start_run("several", &json!({})).await?;
    // The first attempt failed, and the second is under way.
    poll("the second attempt", || async { Ok((upstream.count("/hang/b") == 2).then_some(())) })
        .await?;
    host.restart().await?;
    let run = host.ended(&id).await?;
    run.is("succeeded", &[])?;
    ensure!((upstream.count("/a"), upstream.count("/hang/b")) == (1, 3), "{run}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_asks_for_other_calls_is_a_dead_letter_and_sends_nothing()
-> anyhow::Result<()> {
    let upstream = Counting::default();
    let authority = upstream.start().await?;
    let host = host(HostOptions::new(), &authority).await?;
    let node = json!({
        "use": "caller.calls", "connection": "api", "retry": {"attempts": 1},
        "with": calls(&authority, &["/a", "/once/b"]),
    });
    host.apply(&json!({"name": "several", "nodes": {"calls": node}})).await?;
    let run = host.run_to_end("several", &json!({})).await?;
    run.is("failed", &[("calls", "dead")])?;

    let input = calls(&authority, &["/other", "/once/b"]);
    let body = json!({"node": "calls", "input": input});
    host.post(&format!("/runs/{}/redrive", run.id()), &body).await?.expect(202)?;
    let ended_again =
        |view: &RunView| view.ended() && view.step("calls").is_ok_and(|step| step.attempts() > 1);
    let mismatch = host.run_when(run.id(), "its end again", ended_again).await?;
    mismatch.is("failed", &[("calls", "dead")])?;
    ensure!(mismatch.step("calls")?.error_code() == "journal-mismatch", "{mismatch}");
    let letters = host.get("/dead-letters?code=journal-mismatch").await?.expect(200)?;
    ensure!(letters["items"][0]["run"] == run.id(), "{letters:#}");
    ensure!((upstream.count("/a"), upstream.count("/other")) == (1, 0), "{mismatch}");

    // Somebody says that the calls are to be made anew.
    let input = input.to_string();
    let said = ["run", "redrive", run.id(), "--node", "calls", "--input", &input, "--forget-calls"];
    host.tombolo(&said).await?.expect(0)?;
    host.run_when(run.id(), "its good end", |view| view.state() == "succeeded").await?;
    ensure!((upstream.count("/a"), upstream.count("/other")) == (1, 1));
    Ok(())
}
