//! `GET /api/v1/dead-letters` and their count

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::clock::Clock;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::ports::store::StepKey;
use tombolo_core::run::StepState;

use crate::harness::Host;
use crate::runs::scene::{apply, failed, host, timed_out, timeout};

const PATH: &str = "/api/v1/dead-letters";

/// `<run>/<node>/<item>` of each letter in the list.
async fn listed(host: &Host, query: &str) -> (Vec<String>, Option<String>) {
    let reply = host.get(&format!("{PATH}{query}")).await;
    let body = reply.ok(200);
    let href = |item: &Value| item["href"].as_str().unwrap()[PATH.len() + 1..].to_owned();
    let items = body["items"].as_array().unwrap().iter().map(href).collect();
    (items, body["next"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn letters_are_listed_those_of_the_newest_run_first() {
    let host = host().await;
    let old = timed_out(&host).await;
    host.clock.advance(Duration::from_secs(60));
    let lost = StepError::new(ErrorClass::UnknownOutcome, "worker-lost", "who knows");
    let new = failed(
        &host,
        &[("pay", 0, StepState::Unknown, lost), ("each", 2, StepState::Dead, timeout())],
    )
    .await;
    let (all, next) = listed(&host, "").await;
    assert_eq!(all, [format!("{new}/each/2"), format!("{new}/pay/0"), format!("{old}/ask/0")]);
    assert_eq!(next, None);

    let first = host.get(&format!("{PATH}?limit=1&node=pay")).await;
    assert_eq!(
        first.ok(200)["items"],
        json!([{
            "run": new, "node": "pay", "item": 0, "workflow": "flow", "state": "unknown",
            "error": {"class": "unknown-outcome", "code": "worker-lost", "message": "who knows"},
            "since": "2026-09-21T14:14:20.000Z", "discarded": null,
            "href": format!("{PATH}/{new}/pay/0"),
        }])
    );
    assert_eq!(*host.get(&format!("{PATH}/count")).await.ok(200), json!({"count": 3}));
}

#[tokio::test]
async fn every_filter_narrows_the_list() {
    let host = host().await;
    let old = timed_out(&host).await;
    host.clock.advance(Duration::from_secs(60));
    let refused = StepError::new(ErrorClass::Auth, "http-401", "no");
    let new = failed(&host, &[("pay", 0, StepState::Dead, refused)]).await;
    apply(&host, "other").await;
    let (old, new) = (format!("{old}/ask/0"), format!("{new}/pay/0"));
    let run = &new[..36];
    for (query, expected) in [
        ("?workflow=flow".to_owned(), vec![&new, &old]),
        ("?workflow=other".to_owned(), vec![]),
        (format!("?run={run}"), vec![&new]),
        ("?node=ask".to_owned(), vec![&old]),
        ("?class=auth".to_owned(), vec![&new]),
        ("?class=transient&code=timed-out".to_owned(), vec![&old]),
        ("?code=http-401".to_owned(), vec![&new]),
        ("?since=2026-09-21T14:13:21Z".to_owned(), vec![&new]),
        ("?until=2026-09-21T14:13:21Z".to_owned(), vec![&old]),
        ("?discarded=true".to_owned(), vec![]),
    ] {
        let (found, _) = listed(&host, &query).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let host = host().await;
    let dead = |item| ("each", item, StepState::Dead, timeout());
    let mut expected = Vec::new();
    for _ in 0..2 {
        let run = failed(&host, &[dead(1), dead(2), dead(10)]).await;
        let steps = [1, 2, 10].map(|item| format!("{run}/each/{item}"));
        expected.splice(0..0, steps);
    }
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let (page, next) = listed(&host, &format!("?limit=2{cursor}")).await;
        assert!(page.len() <= 2);
        found.extend(page);
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn what_was_given_up_is_a_list_of_its_own() {
    let host = host().await;
    let run = timed_out(&host).await;
    let step = StepKey { node: "ask".to_owned(), item: 0 };
    let audit = AuditEntry {
        at: host.clock.now(),
        actor: Actor("token:t".to_owned()),
        action: "letter-discarded".to_owned(),
        subject: "s".to_owned(),
        detail: Value::Null,
        correlation_id: None,
    };
    let discarded = host.store.discard(host.tenant, run, &step, "obsolete".to_owned(), audit);
    assert!(discarded.await.unwrap());
    assert_eq!(listed(&host, "").await.0, Vec::<String>::new());
    let given_up = host.get(&format!("{PATH}?discarded=true")).await;
    assert_eq!(
        given_up.ok(200)["items"][0]["discarded"],
        json!({"at": "2026-09-21T14:13:20.000Z", "reason": "obsolete"})
    );
    assert_eq!(*host.get(&format!("{PATH}/count")).await.ok(200), json!({"count": 0}));
    let shown = host.get(&format!("{PATH}/{run}/ask/0")).await;
    assert_eq!(shown.ok(200)["discarded"]["reason"], "obsolete");
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let host = host().await;
    for (query, code, word) in [
        ("?limit=0", "invalid-query", "limit"),
        ("?class=bad-luck", "invalid-query", "bad-luck"),
        ("?run=run_1", "invalid-query", "run_"),
        ("?discarded=maybe", "invalid-query", "true"),
        ("?item=1", "invalid-query", "item"),
        ("?cursor=AAAA", "invalid-cursor", "cursor"),
    ] {
        let refused = host.get(&format!("{PATH}{query}")).await;
        let detail = refused.problem(400, code)["detail"].to_string();
        assert!(detail.contains(word), "{query}: {detail}");
    }
}
