//! Where secrets go: into the request, and nowhere else.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Path;
use axum::routing::put;
use clap::{Args, FromArgMatches};
use serde_json::{Value, json};
use tombolo_core::secret::Secret;

use super::{SetArgs, list, set};
use crate::cli::Ending;
use crate::cli::client::Client;
use crate::cli::terminal::Terminal;
use crate::cli::tests::{Paper, listen};

/// What the server got, and all that was written.
async fn send(arguments: &[&str], stdin: &str, json: bool) -> (String, Value, String) {
    let got = Arc::new(Mutex::new((String::new(), Value::Null)));
    let keep = Arc::clone(&got);
    let router = Router::new().route(
        "/api/v1/connections/{name}",
        put(move |Path(name): Path<String>, body: String| async move {
            let body: Value = serde_json::from_str(&body).unwrap();
            let kind = body["auth"]["kind"].as_str().unwrap_or("none").to_owned();
            let answer = json!({"name": name, "auth": {"kind": kind}, "has_signing_secret": body["signing_secret"].is_string()});
            *keep.lock().unwrap() = (name, body);
            answer.to_string()
        }),
    );
    let client = Client::new(&listen(router).await, Some(Secret::new(b"tbl_x".to_vec()))).unwrap();
    let matches = SetArgs::augment_args(clap::Command::new("set"))
        .get_matches_from(["set", "hubspot"].iter().chain(arguments));
    let args = SetArgs::from_arg_matches(&matches).unwrap();
    let variables = |name: &str| (name == "SIGNING").then(|| "whsec_variable".to_owned());
    let (out, notes) = (Paper::default(), Paper::default());
    let mut terminal = Terminal::plain(Box::new(out.clone()), Box::new(notes.clone()), json);
    let ending = set(&args, &mut stdin.as_bytes(), &variables, &client, &mut terminal).await;
    assert_eq!(ending.unwrap(), Ending::Fine);
    let (name, body) = got.lock().unwrap().clone();
    (name, body, out.text() + &notes.text())
}

#[tokio::test]
async fn secrets_go_into_the_request_and_nowhere_else() {
    for json_wanted in [false, true] {
        let arguments = [
            "--base-url",
            "https://api.hubapi.com",
            "--bearer-stdin",
            "--signing-secret-env",
            "SIGNING",
            "--allow-host",
            "*.hubapi.com",
        ];
        let (name, body, written) = send(&arguments, "pat-s3cret\n", json_wanted).await;
        assert_eq!(name, "hubspot");
        assert_eq!(
            body,
            json!({
                "base_url": "https://api.hubapi.com", "allowed_hosts": ["*.hubapi.com"],
                "auth": {"kind": "bearer", "token": "pat-s3cret"}, "signing_secret": "whsec_variable",
            })
        );
        assert!(written.contains("hubspot"), "{written}");
        assert!(!written.contains("s3cret") && !written.contains("whsec"), "{written}");
    }
}

#[tokio::test]
async fn every_way_to_authenticate() {
    let auth = |arguments: &'static [&'static str]| async move {
        send(arguments, "s3cret", false).await.1["auth"].clone()
    };
    assert_eq!(
        auth(&["--basic-user", "u", "--password-stdin"]).await,
        json!({"kind": "basic", "user": "u", "password": "s3cret"})
    );
    assert_eq!(
        auth(&["--header", "X-Key", "--value-stdin"]).await,
        json!({"kind": "header", "name": "X-Key", "value": "s3cret"})
    );
    assert_eq!(
        auth(&["--query", "key", "--value-stdin"]).await,
        json!({"kind": "query", "name": "key", "value": "s3cret"})
    );
    assert_eq!(auth(&["--no-auth"]).await, json!({"kind": "none"}));
}

#[tokio::test]
async fn what_is_not_given_stays_and_what_is_to_be_forgotten_is_null() {
    let (_, body, _) = send(&["--base-url", "http://127.0.0.1:1"], "", false).await;
    assert_eq!(body, json!({"base_url": "http://127.0.0.1:1", "allowed_hosts": []}));
    let (_, body, _) = send(&["--no-signing-secret"], "", false).await;
    assert_eq!(body, json!({"allowed_hosts": [], "signing_secret": null}));
}

#[tokio::test]
async fn limits_that_are_given_are_sent() {
    let arguments = ["--total-timeout", "900", "--max-response", "10"];
    let (_, body, _) = send(&arguments, "", false).await;
    let limits = json!({"total_timeout_ms": 900, "max_response_bytes": 10});
    assert_eq!(body, json!({"allowed_hosts": [], "limits": limits}));
}

#[tokio::test]
async fn the_list_says_that_there_are_secrets() {
    let answer = json!({"items": [
        {"name": "asana", "base_url": "https://app.asana.com", "auth": {"kind": "bearer"},
         "has_signing_secret": false, "allowed_hosts": []},
        {"name": "hubspot", "base_url": null, "auth": {"kind": "basic", "user": "u"},
         "has_signing_secret": true, "allowed_hosts": ["a.example", "b.example"]},
    ]});
    let router = Router::new().route(
        "/api/v1/connections",
        axum::routing::get(move || async move { answer.to_string() }),
    );
    let client = Client::new(&listen(router).await, None).unwrap();
    let out = Paper::default();
    let mut terminal = Terminal::plain(Box::new(out.clone()), Box::new(Paper::default()), false);
    assert_eq!(list(&client, &mut terminal).await.unwrap(), Ending::Fine);
    assert_eq!(
        out.text(),
        "NAME     BASE URL               AUTH     SIGNING  ALLOWED HOSTS         PAUSED\n\
         asana    https://app.asana.com  bearer   -\n\
         hubspot  -                      basic u  yes      a.example, b.example\n"
    );
}
