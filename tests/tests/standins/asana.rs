//! Asana: projects, tasks, errors.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tombolo_tests::asana::{self, Asana, TOKEN, WORKSPACE_GID};
use tombolo_tests::{Misbehaviour, Standin};

use crate::client::{Caller, answer, client};

async fn start() -> (Standin<Asana>, Caller) {
    let standin = asana::start().await.unwrap();
    let caller = Caller::new(standin.base_url(), TOKEN);
    (standin, caller)
}

fn project(name: &str) -> Value {
    json!({ "data": { "name": name, "workspace": WORKSPACE_GID } })
}

#[tokio::test]
async fn a_project_is_created_read_and_listed() {
    let (standin, asana) = start().await;
    let request = asana.request(Method::POST, "/projects").json(&project("Onboarding: Acme"));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let created: Value = response.json().await.unwrap();
    let data = &created["data"];
    assert_eq!(data["resource_type"], "project");
    assert_eq!(data["name"], "Onboarding: Acme");
    assert_eq!(data["workspace"]["gid"], WORKSPACE_GID);
    let gid = data["gid"].as_str().unwrap();
    assert!(data["permalink_url"].as_str().unwrap().ends_with(&format!("/project/{gid}")));
    assert_eq!(location, format!("/api/1.0/projects/{gid}"));

    let (status, read) = asana.get(&format!("/projects/{gid}")).await;
    assert_eq!((status, &read), (StatusCode::OK, &created));
    let (_, some) = asana.get(&format!("/projects/{gid}?opt_fields=name,workspace.name")).await;
    let fields: Vec<&String> = some["data"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["gid", "name", "workspace"]);

    let other = json!({ "data": { "name": "Elsewhere", "workspace": "77" } });
    asana.post("/projects", &other).await;
    let (_, list) = asana.get(&format!("/projects?workspace={WORKSPACE_GID}")).await;
    let compact = json!([{ "gid": gid, "resource_type": "project", "name": "Onboarding: Acme" }]);
    assert_eq!(list["data"], compact);
    assert_eq!(standin.provider().projects().len(), 2);
    assert_eq!(standin.performed(), 2);
}

#[tokio::test]
async fn lists_are_paged() {
    let (_standin, asana) = start().await;
    for name in ["a", "b", "c"] {
        asana.post("/projects", &project(name)).await;
    }
    let (_, first) = asana.get("/projects?limit=2").await;
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    let offset = first["next_page"]["offset"].as_str().unwrap();
    let (_, last) = asana.get(&format!("/projects?limit=2&offset={offset}")).await;
    assert_eq!(last["data"][0]["name"], "c");
    assert_eq!(last["next_page"], Value::Null);
    let (status, _) = asana.get("/projects?limit=2&offset=nonsense").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_task_is_found_by_its_external_gid_which_is_unique() {
    let (standin, asana) = start().await;
    let (_, created) = asana.post("/projects", &project("P")).await;
    let project_gid = &created["data"]["gid"];
    let body = json!({ "data": {
        "name": "Kick-off",
        "projects": [project_gid],
        "external": { "gid": "deal/123456789", "data": "{\"a\":1}" },
    }});
    let (status, task) = asana.post("/tasks", &body).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(task["data"]["projects"][0]["gid"], *project_gid);
    assert_eq!(task["data"]["workspace"]["gid"], WORKSPACE_GID, "as its project");

    let (status, found) = asana.get("/tasks/external:deal%2F123456789").await;
    assert_eq!((status, &found), (StatusCode::OK, &task));
    let gid = task["data"]["gid"].as_str().unwrap();
    assert_eq!(asana.get(&format!("/tasks/{gid}")).await.1, task);

    let (status, error) = asana.post("/tasks", &body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(error["errors"][0]["message"].as_str().unwrap().contains("already assigned"));
    assert_eq!(standin.provider().tasks().len(), 1);
    let (status, _) = asana.get("/tasks/external:deal%2F1").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn errors_have_the_documented_shape() {
    let (standin, asana) = start().await;
    let url = format!("{}/projects", standin.base_url());
    for request in [client().get(&url), client().get(&url).bearer_auth("wrong")] {
        let (status, error) = answer(request).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(error, json!({ "errors": [{ "message": "Not Authorized" }] }));
    }

    let too_long = "x".repeat(1_025);
    let invalid = [
        ("/projects", json!({ "data": { "name": "N" } }), "workspace: Missing input"),
        ("/projects", json!({ "name": "N" }), "Missing data in request body"),
        ("/projects", json!({ "data": { "workspace": "mine" } }), "Not a recognized ID: mine"),
        (
            "/projects",
            json!({ "data": { "workspace": "1", "name": 5 } }),
            "name: Value is not a string",
        ),
        (
            "/projects",
            json!({ "data": { "workspace": "1", "due_on": "soon" } }),
            "due_on: Invalid date",
        ),
        ("/tasks", json!({ "data": { "name": "N" } }), "You should specify one of workspace"),
        (
            "/tasks",
            json!({ "data": { "workspace": "1", "external": { "gid": too_long } } }),
            "external.gid: Value is longer than 1024",
        ),
    ];
    for (path, body, message) in invalid {
        let (status, error) = asana.post(path, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        let told = error["errors"][0]["message"].as_str().unwrap();
        assert!(told.contains(message), "{told}");
        assert!(error["errors"][0]["help"].is_string());
    }

    let no_json = asana.request(Method::POST, "/projects").body("<x/>");
    assert_eq!(answer(no_json).await.0, StatusCode::BAD_REQUEST);
    let unknown = json!({ "data": { "name": "N", "projects": ["404"] } });
    let (status, error) = asana.post("/tasks", &unknown).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(error["errors"][0]["message"], "project: Unknown object: 404");
    assert_eq!(asana.get("/projects/404").await.0, StatusCode::NOT_FOUND);
    assert_eq!(asana.get("/planets").await.0, StatusCode::NOT_FOUND);
    assert_eq!(asana.patch("/projects", &json!({})).await.0, StatusCode::NOT_FOUND);
    assert_eq!(standin.performed(), 0);
}

#[tokio::test]
async fn too_many_requests_and_server_errors() {
    let (standin, asana) = start().await;
    standin.misbehave(Misbehaviour::RateLimit { retry_after_s: 30 }.on("POST", "/projects"));
    standin.misbehave(Misbehaviour::Status { status: 500 }.on("POST", "/projects"));
    let request = asana.request(Method::POST, "/projects").json(&project("P"));
    let limited = request.send().await.unwrap();
    assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limited.headers()["retry-after"], "30");
    let error: Value = limited.json().await.unwrap();
    assert!(error["errors"][0]["message"].as_str().unwrap().contains("too many requests"));

    let (status, error) = asana.post("/projects", &project("P")).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(error["errors"][0]["message"], "Server Error");
    assert_eq!(standin.performed(), 0);
    assert_eq!(asana.post("/projects", &project("P")).await.0, StatusCode::CREATED);
}

async fn create_with_key(asana: &Caller, key: &str, name: &str) -> (StatusCode, Value) {
    let request = asana.request(Method::POST, "/projects").header("Idempotency-Key", key);
    answer(request.json(&project(name))).await
}

#[tokio::test]
async fn idempotency_keys_are_ignored_and_the_duplicates_counted() {
    let (standin, asana) = start().await;
    let first = create_with_key(&asana, "k1", "P").await;
    let second = create_with_key(&asana, "k1", "P").await;
    create_with_key(&asana, "k2", "P").await;
    assert_ne!(first.1["data"]["gid"], second.1["data"]["gid"]);
    assert_eq!(standin.duplicates(), 1);
    assert_eq!(standin.performed(), 3);
    assert_eq!(standin.calls()[0].idempotency_key.as_deref(), Some("k1"));
}

#[tokio::test]
async fn honoured_keys_get_the_first_answer() {
    let (standin, asana) = start().await;
    standin.honour_idempotency_keys(true);
    let (one, other) =
        tokio::join!(create_with_key(&asana, "k1", "P"), create_with_key(&asana, "k1", "P"));
    assert_eq!(one, other);
    assert_eq!(one.0, StatusCode::CREATED);
    assert_eq!((standin.performed(), standin.duplicates()), (1, 0));

    let (status, _) = create_with_key(&asana, "k1", "Other").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "another request under the same key");

    let failed = asana.request(Method::POST, "/projects").header("Idempotency-Key", "k2");
    assert_eq!(answer(failed.body("{")).await.0, StatusCode::BAD_REQUEST);
    let (status, _) = create_with_key(&asana, "k2", "P").await;
    assert_eq!(status, StatusCode::CREATED, "what failed may be tried again");
}
