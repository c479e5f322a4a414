//! Commands of repair as they are typed: what they ask of the server, and what they show.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use clap::Parser;
use serde_json::{Value, json};

use super::tests::{Seen, listen, tombolo};
use super::{Cli, Ending};

/// A server that answers everything with this, and what it is asked.
async fn answering(answer: Value) -> (String, Seen) {
    let seen = Seen::default();
    let record = |State(seen): State<Seen>,
                  method: Method,
                  uri: Uri,
                  headers: HeaderMap,
                  body: String| async move {
        let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap());
        let key = key.map(|key| format!(" [{key}]")).unwrap_or_default();
        let path = uri.path_and_query().unwrap().as_str();
        seen.add(format!("{method} {}{key} {body}", path.trim_start_matches("/api/v1")));
        answer.to_string()
    };
    let url = listen(Router::new().fallback(record).with_state(seen.clone())).await;
    (url, seen)
}

fn words(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}

/// What a command asks: the line before the body, and the body without its nulls.
async fn asked(command: &str, answer: Value) -> (String, Value) {
    let (url, seen) = answering(answer).await;
    let done = tombolo(&url, &words(command)).await;
    assert_eq!(done.ending.as_ref().unwrap(), &Ending::Fine, "{}", done.notes);
    let [line] = seen.lines().try_into().unwrap();
    let (head, body) = line.split_at(line.find(" {").map_or(line.len(), |at| at + 1));
    let mut body: Value = serde_json::from_str(body).unwrap_or_default();
    without_nulls(&mut body);
    (head.trim().to_owned(), body)
}

fn without_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(without_nulls);
    }
}

#[tokio::test]
async fn a_run_is_redriven_resolved_and_signalled() {
    let fine = || json!({"run": "run_1", "steps": [{"node": "ask", "item": 0}]});
    let how = |more: Value| {
        let mut body = json!({"forget_calls": false, "repeat_unknown": false});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let redrive = "POST /runs/run_1/redrive".to_owned();
    assert_eq!(asked("run redrive run_1", fine()).await, (redrive.clone(), how(json!({}))));
    let command = "run redrive run_1 --node ask --item 2 --input [1] --forget-calls --reason new";
    let body =
        json!({"node": "ask", "item": 2, "input": [1], "forget_calls": true, "reason": "new"});
    assert_eq!(asked(command, fine()).await, (redrive, how(body)));

    let resolve = "POST /runs/run_1/steps/ask/resolve".to_owned();
    for command in ["run resolve", "dead-letter resolve"] {
        let command = format!("{command} run_1 ask --item 3 --output {{\"id\":5}} --reason seen");
        let body = json!({"item": 3, "output": {"id": 5}, "reason": "seen"});
        assert_eq!(asked(&command, fine()).await, (resolve.clone(), body));
    }
    let discard = "dead-letter discard run_1 ask --reason gone";
    let expected =
        ("POST /runs/run_1/steps/ask/discard".to_owned(), json!({"item": 0, "reason": "gone"}));
    assert_eq!(asked(discard, fine()).await, expected);

    let signal = "POST /runs/run_1/steps/ask/signal".to_owned();
    let approve = "run signal run_1 ask --approve --reason fine";
    let decision = json!({"decision": "approved", "reason": "fine"});
    assert_eq!(asked(approve, fine()).await, (signal.clone(), decision));
    let reject = json!({"decision": "rejected"});
    assert_eq!(asked("run signal run_1 ask --reject", fine()).await, (signal.clone(), reject));
    let body = json!({"paid": true});
    let command = "run signal run_1 ask --body {\"paid\":true}";
    assert_eq!(asked(command, fine()).await, (signal.clone(), body));
    let without = asked("run signal run_1 ask", fine()).await;
    assert_eq!(without, (format!("{signal} null"), Value::Null));
}

#[tokio::test]
async fn arguments_that_make_no_sense_are_refused_before_anything_is_asked() {
    for wrong in [
        "run redrive",
        "run redrive run_1 --item 2",
        "run redrive run_1 --input 1",
        "run resolve run_1 ask",
        "run signal run_1 ask --approve --reject",
        "run signal run_1 ask --approve --body 1",
        "run signal run_1 ask --reason x",
        "run replay run_1",
        "run replay --from failed",
        "run replay run_1 --from middle",
        "run replay run_1 --from start --from-node a",
        "run replay run_1 --from start --version old",
        "run replay run_1 --from start --limit 5",
        "run replay --workflow w --from start --state running",
        "run replay --workflow w --from start --since yesterday",
        "dead-letter discard run_1 ask",
        "dead-letter redrive --all --rate 0",
        "audit --limit 0",
    ] {
        let all = ["tombolo"].into_iter().chain(words(wrong));
        assert!(Cli::try_parse_from(all).is_err(), "{wrong}");
    }
    let (url, seen) = answering(json!({})).await;
    let done = tombolo(&url, &["dead-letter", "redrive", "--dry-run"]).await;
    assert!(done.error().contains("--all"), "{}", done.error());
    assert_eq!(seen.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn a_replay_says_the_new_run_and_what_it_repeats() {
    let answer = json!({"run": "run_2", "replay_of": "run_1", "version": 3,
        "takes_over": ["deal", "tier"],
        "repeats": [{"node": "project", "uses": "asana.create-project", "effect": "unsafe", "was": "dead"}],
    });
    let (url, seen) = answering(answer).await;
    let command = "run replay run_1 --from-node project --version 3 --idempotency-key k";
    let done = tombolo(&url, &words(command)).await;
    assert_eq!(done.out, "run_2\n");
    assert_eq!(
        done.notes,
        "version 3, takes over: deal, tier\n1 effect again:\n\
         NODE     USES                  EFFECT  WAS\n\
         project  asana.create-project  unsafe  ✗ dead\n"
    );
    let [line] = seen.lines().try_into().unwrap();
    assert!(line.starts_with("POST /runs/run_1/replay [\"k\"] {"), "{line}");
    assert!(line.contains("\"from\":{\"node\":\"project\"}") && line.contains("\"version\":3"));

    let (url, _) = answering(json!({"version": 1, "takes_over": [], "repeats": []})).await;
    let done = tombolo(&url, &words("run replay run_1 --from failed --dry-run")).await;
    assert_eq!(done.out, "version 1, takes over: nothing\nno effect happens again\n");
}

#[tokio::test]
async fn many_runs_are_repeated_and_each_one_s_fate_is_told() {
    let answer = json!({"dry_run": false, "replayed": 1, "refused": 1, "next": "abc", "runs": [
        {"run": "run_2", "workflow": "w", "outcome": "replayed", "new": "run_9",
         "plan": {"repeats": [{}, {}]}},
        {"run": "run_1", "workflow": "w", "outcome": "refused",
         "problem": {"code": "version-unusable", "detail": "it cannot be run"}},
    ]});
    let (url, seen) = answering(answer).await;
    let command = "run replay --workflow w --state failed --state cancelled --since \
                   2026-11-22T05:10:03Z --from start --limit 2 --rate 5";
    let done =
        tombolo(&url, &words(&command.split_whitespace().collect::<Vec<_>>().join(" "))).await;
    assert_eq!(done.ending.unwrap(), Ending::Wrong, "one was refused");
    assert_eq!(
        done.out,
        "RUN    WORKFLOW  OUTCOME\n\
         run_2  w         replayed  → run_9 2 effects again\n\
         run_1  w         refused   it cannot be run\n"
    );
    assert_eq!(done.notes, "there are more: --cursor abc\n");
    let [line] = seen.lines().try_into().unwrap();
    let body: Value =
        serde_json::from_str(line.strip_prefix("POST /runs/replay ").unwrap()).unwrap();
    assert_eq!(body["filter"]["states"], json!(["failed", "cancelled"]));
    assert_eq!(body["filter"]["since"], "2026-11-22T05:10:03.000Z");
    assert_eq!((&body["from"], &body["version"]), (&json!("start"), &json!("same")));
}

#[tokio::test]
async fn dead_letters_are_listed_and_shown() {
    let letter = json!({
        "run": "run_1", "node": "each", "item": 2, "workflow": "w", "state": "dead",
        "since": "2026-11-22T05:10:03.000Z", "discarded": null,
        "error": {"class": "auth", "code": "http-401", "message": "re\u{1b}[2Jfused"},
        "step": {"attempt": 3, "input": {"id": 5}, "calls": [{
            "attempt": 1, "method": "POST", "url": "https://a.example/x", "status": 401,
            "started_at": "2026-11-22T05:10:01.000Z", "duration_ms": 12, "idempotency_key": "abc",
        }]},
    });
    let (url, seen) = answering(json!({"items": [letter], "next": "n"})).await;
    let command = "dead-letter list --workflow w --class auth --discarded --limit 5";
    let done = tombolo(&url, &words(command)).await;
    assert_eq!(
        done.out,
        "RUN    STEP     WORKFLOW  STATE   SINCE                 ERROR\n\
         run_1  each[2]  w         ✗ dead  2026-11-22 05:10:03Z  http-401: re\u{fffd}[2Jfused\n"
    );
    assert_eq!(done.notes, "there are more: --cursor n\n");
    assert_eq!(seen.lines(), ["GET /dead-letters?workflow=w&class=auth&discarded=true&limit=5 "]);

    let (url, seen) = answering(letter).await;
    let done = tombolo(&url, &words("dead-letter show run_1 each --item 2")).await;
    assert_eq!(
        done.out,
        "run_1  w  each[2]\n✗ dead since 2026-11-22 05:10:03Z, after 3 attempts\n\
         error   http-401: re\u{fffd}[2Jfused\ninput   {\"id\":5}\n\n\
         ATTEMPT  TIME                  CALL                      ANSWER  TOOK   IDEMPOTENCY KEY\n\
         1        2026-11-22 05:10:01Z  POST https://a.example/x  401     12 ms  abc\n"
    );
    assert_eq!(seen.lines(), ["GET /dead-letters/run_1/each/2 "]);
}

#[tokio::test]
async fn many_dead_letters_are_redriven() {
    let answer = |stopped: Value| {
        json!({"dry_run": false, "redriven": 1, "refused": 0, "more": true, "stopped": stopped, "runs": [
            {"run": "run_2", "workflow": "w", "outcome": "redriven", "ended": "failed",
             "steps": [{"node": "a", "item": 0}, {"node": "each", "item": 2}], "more_steps": true},
            {"run": "run_1", "workflow": "w", "outcome": "not-tried", "steps": []},
        ]})
    };
    let stopped = json!({"code": "canary-failed", "message": "run_2 was tried first"});
    let (url, seen) = answering(answer(stopped)).await;
    let command = "dead-letter redrive --node a --code x --canary 1 --rate 5 --repeat-unknown";
    let done = tombolo(&url, &words(command)).await;
    assert_eq!(done.ending.unwrap(), Ending::RunFailed);
    assert_eq!(
        done.out,
        "RUN    WORKFLOW  OUTCOME\n\
         run_2  w         redriven   failed, a each[2] …\n\
         run_1  w         not-tried\n"
    );
    assert_eq!(
        done.notes,
        "stopped: run_2 was tried first\nthere are more: type it again, or raise --limit\n"
    );
    let [line] = seen.lines().try_into().unwrap();
    let body: Value =
        serde_json::from_str(line.strip_prefix("POST /dead-letters/redrive ").unwrap()).unwrap();
    assert_eq!(body["filter"], json!({"node": "a", "code": "x"}));
    assert_eq!(
        (&body["canary"], &body["rate"], &body["repeat_unknown"]),
        (&json!(1), &json!(5), &json!(true))
    );

    let (url, _) = answering(answer(json!({"code": "time-over", "message": "later"}))).await;
    let done = tombolo(&url, &["--json", "dead-letter", "redrive", "--all"]).await;
    assert_eq!(done.ending.unwrap(), Ending::Wrong);
    let (url, _) = answering(answer(Value::Null)).await;
    let done = tombolo(&url, &["dead-letter", "redrive", "--all"]).await;
    assert_eq!(done.ending.unwrap(), Ending::Fine);
}

#[tokio::test]
async fn a_run_explains_itself() {
    let (url, seen) = answering(json!({
        "run": "run_1", "state": "waiting",
        "why": {"code": "connection-paused", "message": "the connection `crm` is paused",
                "action": "tombolo connection resume crm"},
        "steps": [
            {"node": "a", "item": 0, "state": "waiting", "why": {"code": "retry",
             "message": "another attempt follows", "until": "2026-11-22T05:10:03.000Z"}},
            {"node": "b", "item": 3, "state": "dead", "why": {"code": "dead", "message": "gave up",
             "action": "redrive it"}},
        ],
    }))
    .await;
    let done = tombolo(&url, &["run", "explain", "run_1"]).await;
    assert_eq!(
        done.out,
        "run_1  ◷ waiting\nthe connection `crm` is paused\n\
         what to do: tombolo connection resume crm\n\n\
         STEP  STATE      WHY\n\
         a     ◷ waiting  another attempt follows (until 2026-11-22 05:10:03Z)\n\
         b[3]  ✗ dead     gave up\n\
         b[3]: redrive it\n"
    );
    assert_eq!(seen.lines(), ["GET /runs/run_1/explain "]);
}

#[tokio::test]
async fn the_record_is_listed() {
    let (url, seen) = answering(json!({"next": "7", "items": [
        {"number": 8, "at": "2026-11-22T05:10:03.000Z", "actor": "token:tok_1",
         "action": "step-redriven", "subject": "run_1/steps/a/0", "detail": {"reason": "mended", "x": 1}},
        {"number": 7, "at": "2026-11-22T05:10:02.000Z", "actor": "callback",
         "action": "step-signalled", "subject": "run_1/steps/b/0", "detail": null},
    ]}))
    .await;
    let done = tombolo(&url, &["audit", "--limit", "2"]).await;
    assert_eq!(
        done.out,
        "TIME                  ACTOR        ACTION          SUBJECT          DETAIL\n\
         2026-11-22 05:10:03Z  token:tok_1  step-redriven   run_1/steps/a/0  mended\n\
         2026-11-22 05:10:02Z  callback     step-signalled  run_1/steps/b/0\n"
    );
    assert_eq!(done.notes, "there are more: --cursor 7\n");
    assert_eq!(seen.lines(), ["GET /audit?limit=2 "]);
}

#[tokio::test]
async fn a_pause_is_shown_and_ended() {
    let (url, seen) = answering(json!({"connection": "crm", "runs": 3})).await;
    let done = tombolo(&url, &["connection", "resume", "crm", "--reason", "ours"]).await;
    assert_eq!(done.out, "connection crm is not paused; 3 runs waited for it\n");
    assert_eq!(seen.lines(), ["POST /connections/crm/resume {\"reason\":\"ours\"}"]);

    let (url, _) = answering(json!({"items": [{"name": "crm", "auth": {"kind": "bearer"},
        "paused": {"at": "2026-11-22T05:10:03.000Z", "reason": "401 Unauthorized"}}]}))
    .await;
    let done = tombolo(&url, &["connection", "list"]).await;
    assert!(done.out.contains("since 2026-11-22 05:10:03Z: 401 Unauthorized"), "{}", done.out);
}
