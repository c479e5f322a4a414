//! `/openapi.json` and `/docs`

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Call, Host};

async fn document(host: &Host) -> Value {
    host.send(Call::new("GET", "/openapi.json")).await.ok(200).clone()
}

/// Every `$ref` in the document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get("$ref") {
                found.insert(target.clone());
            }
            fields.values().for_each(|inner| references(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_whole() {
    let host = Host::start().await;
    let document = document(&host).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/Problem"));
    for target in found {
        let pointer = target.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
    }
}

#[tokio::test]
async fn every_route_is_described() {
    let host = Host::start().await;
    let document = document(&host).await;
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{place} has no summary");
            assert!(operation["responses"]["default"].is_object(), "{place} has no problems");
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(ids.insert(id.clone()), "{place}: operationId {id} stands twice");
        }
    }
}

#[tokio::test]
async fn the_page_comes_whole_from_this_binary() {
    let host = Host::start().await;
    let get = async |path: &str| host.send(Call::new("GET", path)).await;
    assert_eq!(get("/docs").await.header("location"), Some("/docs/"));
    let page = get("/docs/").await;
    page.ok(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self'"));
    let files: Vec<&str> = page
        .text
        .split(['"', '\''])
        .filter(|text| text.ends_with(".js") || text.ends_with(".css"))
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert!(!file.contains("//"), "{file} is from elsewhere");
        get(&format!("/docs/{}", file.trim_start_matches("./"))).await.ok(200);
    }
    assert!(get("/docs/swagger-initializer.js").await.text.contains("/openapi.json"));
    get("/docs/none.js").await.problem(404, "unknown-route");
}
