//! Commands as they are typed, against a small server that answers as the API does.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use clap::{CommandFactory, Parser};
use serde_json::{Value, json};

use super::terminal::Terminal;
use super::{Cli, Ending, dispatch};

/// A writer that keeps what is written.
#[derive(Clone, Default)]
pub(super) struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What a command did.
pub(super) struct Done {
    pub(super) ending: anyhow::Result<Ending>,
    pub(super) out: String,
    pub(super) notes: String,
}

impl Done {
    #[track_caller]
    pub(super) fn error(&self) -> String {
        format!("{:#}", self.ending.as_ref().expect_err("the command should fail"))
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("not JSON: {}", self.out))
    }
}

const TOKEN: &str = "tbl_secret-token";

pub(super) async fn tombolo(url: &str, arguments: &[&str]) -> Done {
    let global = ["tombolo", "--url", url, "--token", TOKEN];
    let all = global.iter().chain(arguments);
    let cli = match Cli::try_parse_from(all) {
        Ok(cli) => cli,
        Err(error) => panic!("{error}"),
    };
    let (out, notes) = (Paper::default(), Paper::default());
    let mut terminal =
        Terminal::plain(Box::new(out.clone()), Box::new(notes.clone()), cli.global.json);
    let ending = dispatch(cli, &mut terminal).await;
    Done { ending, out: out.text(), notes: notes.text() }
}

/// Requests as `METHOD path?query body`, and whether each had the token.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub(super) fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

pub(super) async fn listen(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn problem(status: u16, body: Value) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (StatusCode::from_u16(status).unwrap(), kind, body.to_string())
}

#[test]
fn the_definition_of_the_commands_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_never_shows_the_token_of_the_environment() {
    let command = Cli::command();
    let token = command.get_arguments().find(|argument| argument.get_id() == "token").unwrap();
    assert!(token.is_hide_env_values_set());
}

#[test]
fn secrets_are_no_arguments() {
    for wrong in [
        &["connection", "set", "x", "--bearer", "abc"][..],
        &["connection", "set", "x", "--bearer-stdin", "--basic-user", "u", "--password-stdin"],
        &["connection", "set", "x", "--basic-user", "u"],
        &["connection", "set", "x", "--header", "X-Key"],
        &["connection", "set", "x", "--value-stdin"],
        &["run", "start", "w", "--wait", "0"],
        &["run", "list", "--state", "done"],
        &["token", "create", "--name", "ci"],
        &["token", "create", "--name", "ci", "--role", "root"],
        &["token", "create", "--name", "ci", "--role", "viewer", "--scope", "runs:read"],
        &["token", "revoke", "tbl_secret"],
        &["tenant", "quota", "acme", "--connections", "many"],
    ] {
        let all = ["tombolo"].iter().chain(wrong);
        assert!(Cli::try_parse_from(all).is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn nobody_there_says_how_to_start_one() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let done = tombolo(&url, &["run", "list"]).await;
    assert_eq!(
        done.error(),
        format!("no Tombolo at {url}; start one with `tombolo serve`, or name another with --url")
    );
}

#[tokio::test]
async fn something_else_there_is_told_apart() {
    let router =
        Router::new().fallback(|| async { (StatusCode::NOT_FOUND, "<html>nginx\u{1b}[2J</html>") });
    let url = listen(router).await;
    let done = tombolo(&url, &["run", "list"]).await;
    let error = done.error();
    assert!(
        error.contains("answered 404") && error.contains("is this the right --url?"),
        "{error}"
    );
    assert!(!error.contains('\u{1b}'), "{error:?}");
}

#[tokio::test]
async fn problems_are_said_and_the_token_never_is() {
    let router = Router::new().fallback(|headers: HeaderMap| async move {
        assert_eq!(headers[header::AUTHORIZATION], format!("Bearer {TOKEN}"));
        problem(
            401,
            json!({"title": "Not authorised", "status": 401, "detail": "the token has expired"}),
        )
    });
    let url = listen(router).await;
    let done = tombolo(&url, &["plugin", "list"]).await;
    assert_eq!(done.error(), "Not authorised (401)\n  the token has expired");
    assert!(!format!("{}{}{:?}", done.out, done.notes, done.ending).contains(TOKEN));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let router = Router::new().fallback(|| async {
        (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.1:1/")], "")
    });
    let url = listen(router).await;
    let error = tombolo(&url, &["plugin", "list"]).await.error();
    assert!(error.contains("answered 302"), "{error}");
}

#[tokio::test]
async fn plugins_are_added_and_listed() {
    let item = json!({"name": "hubspot", "version": "1.2.0", "hash": "ab".repeat(32), "world": "connector",
        "summary": "HubSpot", "size": 86_323, "imports": [], "status": "added",
        "operations": [{"name": "get-deal"}, {"name": "search"}]});
    let list = json!({"items": [item]});
    let router = Router::new().route(
        "/api/v1/plugins",
        get(move || async move { list.to_string() }).post(
            move |headers: HeaderMap, body: Bytes| async move {
                assert_eq!(headers[header::CONTENT_TYPE], "application/wasm");
                assert_eq!(&body[..], b"\0asm");
                (StatusCode::CREATED, item.to_string())
            },
        ),
    );
    let url = listen(router).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hubspot.wasm");
    std::fs::write(&file, b"\0asm").unwrap();
    let done = tombolo(&url, &["plugin", "add", file.to_str().unwrap()]).await;
    assert_eq!(done.out, "✓ hubspot 1.2.0 added: connector, 2 operations, abababababab\n");
    let done = tombolo(&url, &["plugin", "list"]).await;
    assert_eq!(
        done.out,
        "NAME     VERSION  WORLD      SIZE      HASH          OPERATIONS\n\
         hubspot  1.2.0    connector  84.2 KiB  abababababab  get-deal, search\n"
    );
    let done = tombolo(&url, &["--json", "plugin", "list"]).await;
    assert_eq!(done.json()["items"][0]["version"], "1.2.0");
}

const FILE: &str = "{\n  \"name\": \"w\",\n  \"nodes\": { \"a\": { \"use\": \"nope.x\" } }\n}\n";

fn workflows() -> Router {
    let issues = json!([{"pointer": "/nodes/a/use", "code": "unknown-plugin",
        "message": "there is no plugin `nope`", "suggestion": "add it with `tombolo plugin add`"}]);
    let validation = json!({"valid": false, "issues": issues});
    let refusal =
        json!({"title": "Invalid workflow", "status": 422, "detail": "..", "issues": issues});
    Router::new()
        .route("/api/v1/workflows/validate", post(move || async move { validation.to_string() }))
        .route(
            "/api/v1/workflows/{name}",
            put(move |Path(name): Path<String>, body: String| async move {
                if name == "w" {
                    assert_eq!(body, FILE, "the file is sent as it is");
                    return problem(422, refusal).into_response();
                }
                json!({"id": "wf_1", "name": name, "version": 3, "status": "created"})
                    .to_string()
                    .into_response()
            }),
        )
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_shown_at_its_line() {
    let url = listen(workflows()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("workflow.json");
    std::fs::write(&file, FILE).unwrap();
    let name = file.to_str().unwrap();
    for command in ["validate", "apply"] {
        // A folder stands for the file in it.
        let done = tombolo(&url, &["workflow", command, folder.path().to_str().unwrap()]).await;
        assert_eq!(done.ending.unwrap(), Ending::Wrong);
        let expected = format!(
            "error: there is no plugin `nope` [unknown-plugin]\n --> {name}:3:28\n  |\n3 |   \
             \"nodes\": {{ \"a\": {{ \"use\": \"nope.x\" }} }}\n  |                            ^^^^^^^^\n  \
             = help: add it with `tombolo plugin add`\n\n{name}: 1 error\n"
        );
        assert_eq!(done.out, expected);
    }
    let done = tombolo(&url, &["workflow", "apply", name, "--json"]).await;
    assert_eq!(done.json()[0]["issues"][0]["pointer"], "/nodes/a/use");
}

#[tokio::test]
async fn good_files_are_applied_beside_bad_ones() {
    let url = listen(workflows()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("broken.json"), "{\n  \"name\": w\n}").unwrap();
    std::fs::write(path("good.json"), r#"{"name": "good", "nodes": {}}"#).unwrap();
    let done =
        tombolo(&url, &["workflow", "apply", &path("broken.json"), &path("good.json")]).await;
    assert_eq!(done.ending.unwrap(), Ending::Wrong);
    assert!(done.out.contains("broken.json:2:11\n"), "{}", done.out);
    assert!(done.out.ends_with("good.json: good version 3 created\n"), "{}", done.out);
}

#[tokio::test]
async fn every_file_s_fate_is_told() {
    let url = listen(workflows()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("good.json"), r#"{"name": "good", "nodes": {}}"#).unwrap();
    std::fs::write(path("twice.json"), r#"{"name": "a", "name": "b"}"#).unwrap();
    std::fs::write(path("deep.json"), "[".repeat(200) + &"]".repeat(200)).unwrap();
    std::fs::write(path("latin.json"), b"{\"name\": \"\xfc\"}").unwrap();
    let names = ["missing.json", "twice.json", "deep.json", "latin.json", "good.json"];
    let files = names.map(path);
    let arguments: Vec<&str> =
        ["workflow", "apply"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let done = tombolo(&url, &arguments).await;
    assert_eq!(done.ending.unwrap(), Ending::Wrong);
    assert!(done.out.contains("missing.json: the file cannot be read: "), "{}", done.out);
    assert!(done.out.contains("latin.json:1:11\n"), "{}", done.out);
    assert!(done.out.ends_with("good.json: good version 3 created\n"), "{}", done.out);

    let done = tombolo(&url, &[&arguments[..], &["--json"]].concat()).await;
    let told = done.json();
    let codes: Vec<&Value> = (0..4).map(|file| &told[file]["issues"][0]["code"]).collect();
    assert_eq!(codes, ["unreadable-file", "duplicate-key", "json-too-deep", "not-utf8"]);
    assert_eq!((&told[4]["version"], &told[4]["file"]), (&json!(3), &json!(files[4])));
}

#[tokio::test]
async fn files_behind_one_that_no_server_answered_for_are_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    std::fs::write(&file, r#"{"name": "a", "nodes": {}}"#).unwrap();
    let name = file.to_str().unwrap();
    let done = tombolo(&url, &["--json", "workflow", "apply", name, name]).await;
    assert_eq!(done.ending.as_ref().unwrap(), &Ending::Wrong);
    let told = done.json();
    assert!(told[0]["error"].as_str().unwrap().starts_with("no Tombolo at "), "{told}");
    assert_eq!(told[1]["error"], "not sent");
}

#[tokio::test]
async fn the_schema_asks_no_server() {
    let done = tombolo("http://nobody.invalid", &["workflow", "schema"]).await;
    assert!(done.json()["$schema"].is_string(), "{}", done.out);
    let nonsense = tombolo("no address", &["workflow", "schema"]).await;
    assert_eq!(nonsense.ending.unwrap(), Ending::Fine);
}

/// A run of two steps that gets one step further each time it is asked for.
fn running(end: &'static str, seen: &Seen) -> Router {
    let looks = Arc::new(Mutex::new(0));
    let run = move || async move {
        let mut looks = looks.lock().unwrap();
        *looks += 1;
        let (first, second, state) = match *looks {
            1 => ("running", "pending", "running"),
            2 => ("succeeded", "running", "running"),
            _ if end == "succeeded" => ("succeeded", "succeeded", end),
            _ => ("succeeded", "dead", end),
        };
        json!({"id": "run_1", "workflow": "w", "version": 2, "state": state, "duration_ms": 5, "steps": [
            {"node": "a", "item": 0, "state": first, "attempt": 1, "duration_ms": 2, "ports": [],
             "started_at": "2026-11-22T05:10:03.000Z"},
            {"node": "b", "item": 0, "state": second, "attempt": u32::from(second != "pending"), "ports": []},
        ]})
        .to_string()
    };
    let events = || async {
        let stream = ": hello\n\nevent: snapshot\ndata: {}\n\nevent: step\ndata: {}\n\n";
        // One event a chunk would be the server's way; all at once is the harder one.
        ([(header::CONTENT_TYPE, "text/event-stream")], stream)
    };
    let steps = || async { json!({"items": [{"node": "a", "input": {"deep": 1}}]}).to_string() };
    let start = move |State(seen): State<Seen>,
                      Path(name): Path<String>,
                      headers: HeaderMap,
                      body: String| async move {
        let key = headers["idempotency-key"].to_str().unwrap();
        seen.add(format!("{name} {key} {body}"));
        (
            StatusCode::ACCEPTED,
            json!({"run": "run_1", "event": "evt_1", "state": "queued", "href": "/x"}).to_string(),
        )
    };
    let definition = json!({"name": "w", "version": 2, "definition": {"nodes": {
        "a": {"use": "set"}, "b": {"use": "http.request", "after": ["a"]}}}});
    Router::new()
        .route("/api/v1/workflows/{name}/runs", post(start))
        .route("/api/v1/runs/run_1", get(run))
        .route("/api/v1/runs/run_1/events", get(events))
        .route("/api/v1/runs/run_1/steps", get(steps))
        .route("/api/v1/workflows/w/versions/2", get(move || async move { definition.to_string() }))
        .with_state(seen.clone())
}

#[tokio::test]
async fn a_run_is_started_followed_and_drawn() {
    let seen = Seen::default();
    let url = listen(running("succeeded", &seen)).await;
    let arguments =
        ["run", "start", "w", "--input", r#"{"id":5}"#, "--idempotency-key", "k", "--wait", "30"];
    let done = tombolo(&url, &arguments).await;
    assert_eq!(done.ending.unwrap(), Ending::Fine);
    assert_eq!(seen.lines(), ["w \"k\" {\"id\":5}"]);
    let expected = "
● running    a  2 ms
✓ succeeded  a  2 ms
● running    b
✓ succeeded  b

run_1 w v2   ✓ succeeded   5 ms
└─ a     set           ✓ succeeded      2 ms
   └─ b  http.request  ✓ succeeded
";
    assert_eq!(done.out, expected.trim_start());
}

#[tokio::test]
async fn a_run_that_fails_has_its_own_exit_code() {
    let url = listen(running("failed", &Seen::default())).await;
    let done = tombolo(&url, &["run", "show", "run_1", "--follow"]).await;
    assert_eq!(done.ending.unwrap(), Ending::RunFailed);
    assert!(done.out.contains("✗ failed"), "{}", done.out);
}

#[tokio::test]
async fn programs_get_one_document_or_one_line_for_each_change() {
    let url = listen(running("failed", &Seen::default())).await;
    let done = tombolo(&url, &["--json", "run", "start", "w", "--wait", "30"]).await;
    assert_eq!(done.json()["state"], "failed");
    assert_eq!(done.ending.unwrap(), Ending::RunFailed);
    let url = listen(running("succeeded", &Seen::default())).await;
    let done = tombolo(&url, &["--json", "run", "show", "run_1", "--follow"]).await;
    let states: Vec<Value> = done
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["state"].take())
        .collect();
    assert_eq!(states, ["running", "running", "succeeded"]);
}

#[tokio::test]
async fn a_program_that_follows_gets_the_steps_it_asks_for() {
    let url = listen(running("succeeded", &Seen::default())).await;
    let done = tombolo(&url, &["--json", "run", "show", "run_1", "--follow", "--steps"]).await;
    assert_eq!(done.ending.unwrap(), Ending::Fine);
    for line in done.out.lines() {
        let run: Value = serde_json::from_str(line).unwrap();
        assert_eq!(run["steps"][0]["input"]["deep"], 1, "{line}");
    }
    assert_eq!(done.out.lines().count(), 3);
}

#[tokio::test]
async fn a_start_without_a_key_gets_one_and_says_the_run() {
    let seen = Seen::default();
    let url = listen(running("succeeded", &seen)).await;
    let done = tombolo(&url, &["run", "start", "w"]).await;
    assert_eq!(done.out, "run_1\n");
    assert!(done.notes.contains("tombolo run show run_1 --follow"), "{}", done.notes);
    let [line] = seen.lines().try_into().unwrap();
    assert!(line.len() == "w \"\" ".len() + 32, "{line}");
}

#[tokio::test]
async fn runs_are_listed_with_filters_and_the_next_page() {
    let list = |Query(query): Query<Vec<(String, String)>>| async move {
        let expected = [("limit", "5"), ("workflow", "a b&c"), ("state", "failed")];
        assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        json!({"items": [{"id": "run_1", "workflow": "w", "version": 1, "state": "failed",
            "created_at": "2026-11-22T05:10:03.123Z", "duration_ms": 1500,
            "error": {"class": "auth", "code": "http-401", "message": "refused"}}], "next": "abc"})
        .to_string()
    };
    let url = listen(Router::new().route("/api/v1/runs", get(list))).await;
    let arguments = ["run", "list", "--workflow", "a b&c", "--state", "failed", "--limit", "5"];
    let done = tombolo(&url, &arguments).await;
    assert_eq!(
        done.out,
        "ID     WORKFLOW  STATE     CREATED               DURATION  ERROR\n\
         run_1  w v1      ✗ failed  2026-11-22 05:10:03Z  1.50 s    http-401: refused\n"
    );
    assert_eq!(done.notes, "there are more: --cursor abc\n");
}

#[tokio::test]
async fn names_cannot_leave_their_part_of_the_address() {
    let seen = Seen::default();
    let record = |State(seen): State<Seen>, uri: axum::http::Uri| async move {
        seen.add(uri.path().to_owned());
        json!({"state": "cancelled"}).to_string()
    };
    let url = listen(Router::new().fallback(record).with_state(seen.clone())).await;
    let done = tombolo(&url, &["run", "cancel", "x/../../y?z#"]).await;
    assert_eq!(done.ending.unwrap(), Ending::Fine);
    assert_eq!(seen.lines(), ["/api/v1/runs/x%2F..%2F..%2Fy%3Fz%23/cancel"]);
}
