//! `/openapi.json` and `/docs`

use std::collections::{BTreeMap, BTreeSet};

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

/// The statuses of every operation, `default` aside.
const STATUSES: &[(&str, &[&str])] = &[
    ("alive", &["200"]),
    (
        "answerCallback",
        &["202", "400", "404", "408", "409", "410", "413", "415", "422", "503", "504"],
    ),
    (
        "applyWorkflow",
        &["200", "201", "400", "401", "403", "408", "413", "415", "422", "429", "503", "504"],
    ),
    ("cancelRun", &["202", "400", "401", "403", "404", "409", "429", "503"]),
    ("countDeadLetters", &["200", "401", "403", "429", "503"]),
    ("createToken", &["201", "400", "401", "403", "408", "413", "415", "422", "429", "503", "504"]),
    (
        "discardStep",
        &[
            "200", "400", "401", "403", "404", "408", "409", "413", "415", "422", "429", "503",
            "504",
        ],
    ),
    ("explainRun", &["200", "400", "401", "403", "404", "409", "429", "503"]),
    ("followRun", &["200", "400", "401", "403", "404", "429", "503"]),
    ("listAudit", &["200", "400", "401", "403", "429", "503"]),
    ("listConnections", &["200", "401", "403", "429", "503"]),
    ("listDeadLetters", &["200", "400", "401", "403", "429", "503"]),
    ("listPlugins", &["200", "401", "403", "429", "503"]),
    ("listRuns", &["200", "400", "401", "403", "429", "503"]),
    ("listSteps", &["200", "400", "401", "403", "404", "429", "503"]),
    ("listTokens", &["200", "400", "401", "403", "429", "503"]),
    ("listWorkflowVersions", &["200", "400", "401", "403", "404", "429", "503"]),
    ("listWorkflows", &["200", "401", "403", "429", "503"]),
    (
        "putConnection",
        &["200", "201", "400", "401", "403", "408", "413", "415", "422", "429", "503", "504"],
    ),
    ("ready", &["200", "503"]),
    (
        "redriveDeadLetters",
        &["200", "400", "401", "403", "408", "413", "415", "422", "429", "503", "504"],
    ),
    (
        "redriveRun",
        &[
            "202", "400", "401", "403", "404", "408", "409", "413", "415", "422", "429", "503",
            "504",
        ],
    ),
    (
        "replayRun",
        &[
            "200", "202", "400", "401", "403", "404", "408", "409", "413", "415", "422", "429",
            "503", "504",
        ],
    ),
    ("replayRuns", &["200", "400", "401", "403", "408", "413", "415", "422", "429", "503", "504"]),
    (
        "resolveStep",
        &[
            "202", "400", "401", "403", "404", "408", "409", "413", "415", "422", "429", "503",
            "504",
        ],
    ),
    (
        "resumeConnection",
        &["200", "400", "401", "403", "404", "408", "413", "415", "422", "429", "503", "504"],
    ),
    ("revokeToken", &["200", "400", "401", "403", "404", "429", "503"]),
    ("showCallback", &["200", "400", "404", "405", "410"]),
    ("showConnection", &["200", "400", "401", "403", "404", "429", "503"]),
    ("showDeadLetter", &["200", "400", "401", "403", "404", "429", "503"]),
    ("showEvent", &["200", "400", "401", "403", "404", "429", "503"]),
    ("showPlugin", &["200", "400", "401", "403", "404", "429", "503"]),
    ("showProblem", &["200", "400", "404"]),
    ("showRun", &["200", "400", "401", "403", "404", "429", "503"]),
    ("showStep", &["200", "400", "401", "403", "404", "429", "503"]),
    ("showTenant", &["200", "401", "403", "429", "503"]),
    ("showWorkflow", &["200", "400", "401", "403", "404", "429", "503"]),
    ("showWorkflowVersion", &["200", "400", "401", "403", "404", "429", "503"]),
    (
        "signalStep",
        &[
            "202", "400", "401", "403", "404", "408", "409", "413", "415", "422", "429", "503",
            "504",
        ],
    ),
    (
        "startRun",
        &[
            "200", "202", "400", "401", "403", "404", "408", "409", "413", "415", "422", "429",
            "500", "503", "504",
        ],
    ),
    (
        "uploadPlugin",
        &[
            "200", "201", "400", "401", "403", "408", "409", "413", "415", "422", "429", "503",
            "504",
        ],
    ),
    ("validateWorkflow", &["200", "400", "401", "403", "408", "413", "415", "429", "503", "504"]),
    ("workflowSchema", &["200"]),
];

#[tokio::test]
async fn every_status_of_a_route_is_described_with_its_content() {
    let host = Host::start().await;
    let document = document(&host).await;
    let mut found = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            for (status, response) in responses {
                let place = format!("{method} {path} {status}");
                let content = response["content"].as_object();
                let kinds = content.unwrap_or_else(|| panic!("{place} has no content"));
                let problem = kinds.contains_key("application/problem+json");
                assert_eq!(problem, !status.starts_with('2'), "{place}");
                let retry = response["headers"]["Retry-After"].is_object();
                assert_eq!(retry, status == "503" || status == "429", "{place}: Retry-After");
            }
            let statuses = responses.keys().filter(|status| *status != "default").cloned();
            let id = operation["operationId"].as_str().unwrap().to_owned();
            found.insert(id, statuses.collect::<Vec<_>>());
        }
    }
    for (id, statuses) in STATUSES {
        let owned: Vec<String> = statuses.iter().map(|status| (*status).to_owned()).collect();
        assert_eq!(found.remove(*id).as_deref(), Some(&owned[..]), "{id}");
    }
    assert!(found.is_empty(), "operations without a word here: {found:?}");
}

#[tokio::test]
async fn what_is_known_of_a_shape_is_in_its_schema() {
    let host = Host::start().await;
    let document = document(&host).await;
    let schemas = &document["components"]["schemas"];
    let scopes = &schemas["CreateToken"]["properties"]["scopes"]["items"]["enum"];
    assert_eq!(scopes.as_array().unwrap().len(), 13);
    for (shape, field) in [
        ("CallItem", "response_headers"),
        ("LimitsShape", "max_response_bytes"),
        ("NewLimits", "total_timeout_ms"),
    ] {
        assert!(schemas[shape]["properties"][field].is_object(), "{shape}.{field}");
    }
    let started = &document["paths"]["/api/v1/workflows/{name}/runs"]["post"]["responses"]["202"];
    for header in ["Location", "Idempotency-Replayed"] {
        assert!(started["headers"][header].is_object(), "{header}");
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
