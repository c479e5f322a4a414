//! The program `standins`, as the demo uses it.

use std::process::Stdio;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tombolo_tests::hubspot::SEED_DEAL_ID;

use crate::client::{answer, client};

const LIMIT: Duration = Duration::from_secs(30);

async fn start(arguments: &[&str]) -> (Child, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_standins"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

#[tokio::test]
async fn it_serves_at_the_addresses_it_prints_until_its_input_is_closed() {
    let arguments = ["--hubspot-token", "h", "--asana-token", "a", "--sink", "127.0.0.1:0"];
    let (mut child, addresses) = start(&arguments).await;
    let origin = |name: &str| addresses[name].as_str().unwrap().to_owned();

    let deal = format!("{}/crm/v3/objects/deals/{SEED_DEAL_ID}", origin("hubspot"));
    assert_eq!(answer(client().get(deal).bearer_auth("h")).await.0, StatusCode::OK);
    let projects = format!("{}/api/1.0/projects", origin("asana"));
    assert_eq!(answer(client().get(projects).bearer_auth("a")).await.0, StatusCode::OK);
    let sink = client().post(origin("sink")).json(&json!({ "id": 1 }));
    assert_eq!(answer(sink).await.0, StatusCode::OK);

    drop(child.stdin.take());
    let status = tokio::time::timeout(LIMIT, child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[cfg(unix)]
#[tokio::test]
async fn it_ends_well_at_sigterm() {
    let (mut child, _) = start(&[]).await;
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let status = tokio::time::timeout(LIMIT, child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_taken_address_is_an_error_that_names_it() {
    let (_child, addresses) = start(&[]).await;
    let taken = addresses["asana"].as_str().unwrap().strip_prefix("http://").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_standins"))
        .args(["--asana", taken])
        .stdin(Stdio::piped())
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains(taken), "{told}");
}
