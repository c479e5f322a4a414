//! A canary in every credential, and a look into everything that is kept, logged or answered.

use std::path::Path;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};
use tombolo_tests::{Host, HostOptions};

use crate::scene::echo_server;

const KINDS: [&str; 4] = ["bearer", "basic", "header", "query"];

/// Long enough to be recognised, and with characters that have to be escaped in a URL.
fn canary(kind: &str) -> String {
    format!("canary/of+{kind}=0123456789")
}

fn auth(kind: &str) -> Value {
    let secret = canary(kind);
    match kind {
        "bearer" => json!({"kind": "bearer", "token": secret}),
        "basic" => json!({"kind": "basic", "user": "user", "password": secret}),
        "header" => json!({"kind": "header", "name": "X-Api-Key", "value": secret}),
        _ => json!({"kind": "query", "name": "api", "value": secret}),
    }
}

/// A secret in every form in which it could slip out.
fn forms(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = secret
        .bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    let with_user = format!("user:{secret}");
    vec![
        secret.to_owned(),
        hex,
        percent,
        STANDARD.encode(secret),
        URL_SAFE.encode(secret),
        STANDARD.encode(with_user),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_nowhere_but_in_the_call_that_needs_it() -> anyhow::Result<()> {
    let upstream = echo_server().await?;
    let options =
        HostOptions::new().allow(&upstream).set("log.level", "trace").set("log.format", "json");
    let host = Host::start(options).await?;
    let mut runs = Vec::new();
    for kind in KINDS {
        host.connection(kind, json!({"base_url": upstream, "auth": auth(kind)})).await?;
        let call = json!({"use": "http.request", "connection": kind,
                          "with": {"method": "POST", "path": "/things", "json": {"n": 1}}});
        let refused = json!({"use": "http.get", "connection": kind, "on_error": "continue",
                             "with": {"path": "/things", "expect": [418]}});
        let name = format!("call-{kind}");
        host.apply(&json!({"name": name, "nodes": {"call": call, "refused": refused}})).await?;
        let run = host.run_to_end(&name, &json!({})).await?;
        run.is("succeeded", &[("call", "succeeded"), ("refused", "dead")])?;
        // The echo proves that the credential was sent, and that what came back was cleaned.
        let echoed = run.step("call")?.output().to_string();
        ensure!(echoed.contains("[redacted]"), "nothing was redacted in {kind}: {echoed}");
        runs.push(run);
    }
    let app_secret = canary("signing");
    host.signing("app", &app_secret).await?;
    let verify = json!({"preset": "hubspot-v3", "secrets": ["app"]});
    host.apply(&json!({"name": "inbox", "nodes": {"kept": {"use": "set"}},
        "triggers": {"in": {"webhook": {"path": "inbox", "verify": verify}}}}))
        .await?;
    host.deliver_signed("inbox", &app_secret, &json!({"n": 1})).await?.expect(202)?;
    let made =
        host.post("/tokens", &json!({"name": "t", "scopes": ["runs:read"]})).await?.expect(201)?;
    let token = made["token"].as_str().context("no token")?.to_owned();
    let request = host.anonymous("GET", "/api/v1/runs").bearer_auth(&token);
    host.answer(request).await?.expect(200)?;

    let mut answers = Vec::new();
    for path in ["/connections", "/runs", "/workflows", "/plugins/http"] {
        answers.push((path.to_owned(), host.get(path).await?.text));
    }
    for run in &runs {
        answers.push((format!("run {}", run.id()), run.0.to_string()));
        let event = format!("/events/{}", run.0["event"].as_str().unwrap_or_default());
        answers.push((event.clone(), host.get(&event).await?.text));
    }
    let master_key = std::fs::read_to_string(host.data().join("vault.key"))?;
    host.stop().await?;

    let log = host.log();
    ensure!(log.contains("TRACE"), "the log has no traces");
    let mut secrets: Vec<String> = KINDS.iter().flat_map(|kind| forms(&canary(kind))).collect();
    secrets.extend(forms(&app_secret));
    secrets.extend([token, master_key.trim().to_owned()]);
    secrets.push(host.token().to_owned());
    let mut found = Vec::new();
    for secret in &secrets {
        if let Some(line) = log.lines().find(|line| line.contains(secret)) {
            found.push(format!("log: {line}"));
        }
        for (name, _) in answers.iter().filter(|(_, text)| text.contains(secret)) {
            found.push(format!("answer of {name}: {secret}"));
        }
    }
    search(&host.data(), &secrets, &mut found)?;
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

/// What belongs to the operator of this machine lies there on purpose.
const OPERATORS: [&str; 3] = ["admin.token", "vault.key", "audit.key"];

/// Looks into all files of a folder.
fn search(folder: &Path, secrets: &[String], found: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            search(&path, secrets, found)?;
        } else if !OPERATORS.iter().any(|name| path.ends_with(name)) {
            let bytes = std::fs::read(&path)?;
            // The secrets are ASCII: what is lost of other bytes does not matter.
            let text = String::from_utf8_lossy(&bytes);
            let inside = secrets.iter().filter(|secret| text.contains(secret.as_str()));
            found.extend(inside.map(|secret| format!("{}: {secret}", path.display())));
        }
    }
    Ok(())
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_for_its_owner_only() -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let host = Host::start(HostOptions::new().first_start()).await?;
    let kept =
        ["", "admin.token", "vault.key", "audit.key", "audit-checkpoints.jsonl", "tombolo.db"];
    for name in kept {
        let path = host.data().join(name);
        let mode = std::fs::metadata(&path)
            .with_context(|| path.display().to_string())?
            .permissions()
            .mode();
        ensure!(mode & 0o077 == 0, "{} can be read by others: {mode:o}", path.display());
    }
    Ok(())
}
