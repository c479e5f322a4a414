//! Runs as they are drawn, from what the API says.

use serde_json::{Value, json};

use super::{Detail, render};
use crate::cli::run_view::RunView;
use crate::cli::terminal::Style;

const PLAIN: Style = Style { enabled: false };

fn definition() -> Value {
    json!({"nodes": {
        "deal": {"use": "hubspot.get-deal"},
        "tier": {"use": "switch", "after": ["deal"]},
        "project": {"use": "asana.create-project", "after": ["tier.enterprise"]},
        "note": {"use": "set", "after": ["tier.standard"]},
    }})
}

fn draw(run: &Value, detail: Detail) -> String {
    let run: RunView = serde_json::from_value(run.clone()).unwrap();
    render(&run, Some(&definition()), detail, PLAIN)
}

#[test]
fn a_run_that_succeeded() {
    let run = json!({
        "id": "run_01980000000070008000000000000001", "workflow": "deal-won-to-project", "version": 1,
        "state": "succeeded", "duration_ms": 1243,
        "steps": [
            {"node": "project", "item": 0, "state": "succeeded", "attempt": 2, "duration_ms": 401, "ports": []},
            {"node": "deal", "item": 0, "state": "succeeded", "attempt": 1, "duration_ms": 312, "ports": []},
            {"node": "tier", "item": 0, "state": "succeeded", "attempt": 1, "duration_ms": 1, "ports": ["enterprise"]},
            {"node": "note", "item": 0, "state": "skipped", "attempt": 0, "duration_ms": null, "ports": []},
        ],
        "output": {"gid": "1200"},
    });
    let expected = r#"
run_01980000000070008000000000000001 deal-won-to-project v1   ✓ succeeded   1.24 s
└─ deal           hubspot.get-deal      ✓ succeeded    312 ms
   └─ tier        switch                ✓ succeeded      1 ms  → enterprise
      ├─ project  asana.create-project  ✓ succeeded    401 ms  2 attempts
      └─ note     set                   – skipped
output {"gid":"1200"}"#;
    assert_eq!(draw(&run, Detail::Lines), expected.trim_start());
}

#[test]
fn a_run_that_failed_says_why_at_the_step() {
    let error =
        json!({"class": "not-found", "code": "deal-not-found", "message": "there is no\ndeal 5"});
    let run = json!({
        "id": "run_1", "workflow": "w", "version": 3, "state": "failed", "duration_ms": 9, "error": error,
        "steps": [{"node": "deal", "state": "dead", "attempt": 1, "duration_ms": 8, "ports": [], "error": error}],
    });
    let expected = "
run_1 w v3   ✗ failed   9 ms
└─ deal           hubspot.get-deal      ✗ dead         8 ms
   │  ! deal-not-found: there is no deal 5
   └─ tier        switch                ○ pending
      ├─ project  asana.create-project  ○ pending
      └─ note     set                   ○ pending";
    assert_eq!(draw(&run, Detail::Lines), expected.trim_start());
}

#[test]
fn a_step_that_waits_says_until_when() {
    let run = json!({
        "id": "run_1", "workflow": "w", "version": 1, "state": "waiting", "duration_ms": null,
        "steps": [{"node": "deal", "state": "waiting", "attempt": 1, "due_at": "2026-11-22T05:10:03.000Z",
                   "error": {"code": "rate-limited", "message": "429"}}],
    });
    let text = draw(&run, Detail::Lines);
    assert!(text.contains("◷ waiting    due 2026-11-22 05:10:03Z\n"), "{text}");
    assert!(text.contains("   │  ! rate-limited: 429\n"), "{text}");
}

#[test]
fn items_are_counted_and_the_bad_ones_shown() {
    let step = |item: u64, state: &str| json!({"node": "deal", "item": item, "state": state, "attempt": 1});
    let run = json!({"id": "r", "workflow": "w", "version": 1, "state": "failed",
                     "steps": [step(0, "dead"), step(1, "succeeded"), step(2, "dead")]});
    let text = draw(&run, Detail::Lines);
    assert!(text.contains("✗ dead       1 of 2 items succeeded\n   │  [2] ✗ dead\n"), "{text}");
    assert!(!text.contains("[0]"), "{text}");
}

#[test]
fn everything_is_shown_when_asked_for() {
    let run = json!({"id": "r", "workflow": "w", "version": 1, "state": "succeeded", "steps": [{
        "node": "note", "state": "succeeded", "attempt": 1, "duration_ms": 3,
        "input": {"id": "5"}, "output": {"name": "Acme"},
        "logs": [{"level": "info", "message": "hello\u{1b}[2J"}],
        "calls": [{"method": "GET", "url": "http://x/y", "status": 200, "duration_ms": 2},
                  {"method": "GET", "url": "http://x/z", "error": "no connection to x"}],
    }]});
    let text = draw(&run, Detail::Everything);
    let expected = "
            input  {\"id\":\"5\"}
            call   GET http://x/y → 200, 2 ms
            call   GET http://x/z → no connection to x
            log    info: hello\u{fffd}[2J
            output {\"name\":\"Acme\"}";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn without_a_definition_the_steps_stand_below_each_other() {
    let run = json!({"id": "r", "workflow": "w", "version": 1, "state": "running", "steps": [
        {"node": "b", "state": "succeeded", "attempt": 1}, {"node": "a", "state": "running", "attempt": 1},
    ]});
    let run: RunView = serde_json::from_value(run).unwrap();
    let text = render(&run, None, Detail::Lines, PLAIN);
    assert_eq!(text, "r w v1   ● running\n├─ b    ✓ succeeded\n└─ a    ● running");
}

#[test]
fn an_error_that_no_step_has_is_shown_below() {
    let run = json!({"id": "r", "workflow": "w", "version": 1, "state": "cancelled", "steps": [],
                     "error": {"code": "run-timeout", "message": "the run took longer than 30 days"}});
    let text = draw(&run, Detail::Lines);
    assert!(text.ends_with("\n! run-timeout: the run took longer than 30 days"), "{text}");
}
