//! `/api/v1/plugins`

use serde_json::{Value, json};
use tombolo_api::Settings;

use crate::harness::{Call, Host};

fn descriptor(name: &str, version: &str) -> Value {
    json!({
        "contract": "1.0", "name": name, "version": version, "summary": "Talks to a CRM",
        "world": "connector",
        "operations": [{
            "name": "get-deal", "summary": "Reads a deal", "effect": "read",
            "params": {"type": "object"}, "output": true, "connection": true,
        }],
    })
}

/// An upload that the stand-in sandbox understands.
pub fn upload(name: &str, version: &str) -> Call {
    Call::post("/api/v1/plugins", descriptor(name, version).to_string())
        .header("content-type", "application/wasm")
}

#[tokio::test]
async fn an_upload_is_added_once() {
    let host = Host::start().await;
    let added = host.call(upload("crm", "1.0.0")).await;
    let size = descriptor("crm", "1.0.0").to_string().len();
    assert_eq!(
        *added.ok(201),
        json!({
            "name": "crm", "version": "1.0.0", "hash": added.json["hash"], "world": "connector",
            "summary": "Talks to a CRM", "size": size,
            "operations": [{
                "name": "get-deal", "summary": "Reads a deal", "effect": "read", "ports": [],
                "connection": true,
            }],
            "imports": ["tombolo:node/log@1.0.0"],
            "status": "added",
        })
    );
    assert_eq!(added.json["hash"].as_str().unwrap().len(), 64);
    assert_eq!(host.call(upload("crm", "1.0.0")).await.ok(200)["status"], "same");
}

#[tokio::test]
async fn name_and_version_belong_to_one_component() {
    let host = Host::start().await;
    let first = host.call(upload("crm", "1.0.0")).await;
    let mut other = descriptor("crm", "1.0.0");
    other["summary"] = "Another one".into();
    let taken = host.call(Call::post("/api/v1/plugins", other.to_string())).await;
    assert_eq!(taken.problem(409, "version-taken")["by"], first.json["hash"]);
}

#[tokio::test]
async fn what_the_sandbox_refuses_is_refused_under_its_code() {
    let host = Host::start().await;
    let post = async |bytes: &'static [u8]| host.call(Call::post("/api/v1/plugins", bytes)).await;
    post(b"\0asm\x01\0\0\0").await.problem(422, "core-module");
    post(b"no component").await.problem(422, "malformed-component");
    post(b"").await.problem(422, "malformed-component");
    let html = Call::post("/api/v1/plugins", "x").header("content-type", "text/html");
    host.call(html).await.problem(415, "unsupported-media-type");
    assert_eq!(host.get("/api/v1/plugins").await.json["items"], json!([]));
}

#[tokio::test]
async fn a_hundred_mebibytes_are_refused() {
    let host = Host::start().await;
    let large = vec![0; 100 * 1024 * 1024];
    let refused = host.call(Call::post("/api/v1/plugins", large)).await;
    assert_eq!(refused.problem(413, "component-too-large")["limit_bytes"], 20 * 1024 * 1024);
}

#[tokio::test]
async fn uploads_are_bounded() {
    let host = Host::with(Settings { max_uploads: 0, ..Settings::default() }).await;
    let refused = host.call(upload("crm", "1.0.0")).await;
    refused.problem(503, "too-many-uploads");
    assert_eq!(refused.header("retry-after"), Some("5"));
}

#[tokio::test]
async fn plugins_are_listed_and_shown_with_all_versions() {
    let host = Host::start().await;
    host.call(upload("crm", "1.0.0")).await.ok(201);
    host.clock.advance(std::time::Duration::from_secs(1));
    host.call(upload("crm", "1.1.0")).await.ok(201);
    host.call(upload("asana", "2.0.0")).await.ok(201);
    let list = host.get("/api/v1/plugins").await;
    let items = list.ok(200)["items"].as_array().unwrap();
    let names: Vec<String> = items
        .iter()
        .map(|item| format!("{} {}", item["name"], item["version"]).replace('"', ""))
        .collect();
    assert_eq!(names, ["asana 2.0.0", "crm 1.1.0", "crm 1.0.0"]);
    assert_eq!(items[2]["created_at"], "2026-09-21T14:13:20.000Z");
    assert!(items[0].get("imports").is_none());

    let crm = host.get("/api/v1/plugins/crm").await;
    let versions = crm.ok(200)["items"].as_array().unwrap();
    assert_eq!(versions.len(), 2);
    assert_eq!(versions[0]["descriptor"]["operations"][0]["params"], json!({"type": "object"}));
    host.get("/api/v1/plugins/none").await.problem(404, "plugin-not-found");
}
