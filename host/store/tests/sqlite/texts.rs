//! Texts in payloads and packs: what is damaged, what is forgotten, and what a run takes.

use std::fs;

use tombolo_core::clock::Timestamp;
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Claim, Claimed, Ended, Housekeeping, Next, Reading, RunLog, Settle, StepRow, StoreError,
    Wanted, WorkerId,
};
use tombolo_core::run::{RunState, StepState};
use tombolo_store::SqliteSettings;

use crate::{NOW, event, fresh, open, run, tenant, workflow};

#[tokio::test]
async fn a_payload_that_is_no_payload_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (path, store) = fresh(&folder, SqliteSettings::default()).await;
    store.accept(vec![event(1, &"long ".repeat(10_000))]).await.unwrap();
    let id = event(1, "").event.id;
    let stored: i64 = {
        let file = rusqlite::Connection::open(&path).unwrap();
        file.query_row("SELECT length(bytes) FROM payload", [], |row| row.get(0)).unwrap()
    };
    assert!(stored < 1_000, "{stored} bytes of 50,000");
    assert!(store.event(tenant(), id).await.unwrap().is_some());
    for bad in ["bytes = x'00'", "encoding = 7", "encoding = 0"] {
        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute(&format!("UPDATE payload SET {bad}"), []).unwrap();
        let damaged = store.event(tenant(), id).await;
        assert!(matches!(damaged, Err(StoreError::Corrupt(_))), "{bad}: {damaged:?}");
    }
}

#[tokio::test]
async fn a_pack_that_is_no_pack_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (path, store) = fresh(&folder, SqliteSettings::default()).await;
    let mut accept = event(1, "text");
    let done = StepRow {
        state: StepState::Succeeded,
        output: Some(Json::from_value("result".into())),
        ..StepRow::pending("a", 0)
    };
    accept.runs[0].steps = vec![done];
    store.accept(vec![accept, event(2, "other")]).await.unwrap();
    let ids = [1, 2].map(|n| event(n, "").event.id);
    assert!(store.event(tenant(), ids[0]).await.unwrap().is_some());
    let file = rusqlite::Connection::open(&path).unwrap();
    let first = "(SELECT min(id) FROM pack)";
    for bad in ["bytes = x'00'", "encoding = 7", "encoding = 1, bytes = x'28b52ffd'", "id = 99"] {
        file.execute(&format!("UPDATE pack SET {bad} WHERE id = {first}"), []).unwrap();
        let damaged = store.event(tenant(), ids[0]).await;
        assert!(matches!(damaged, Err(StoreError::Corrupt(_))), "{bad}: {damaged:?}");
        let damaged = store.run(tenant(), run(1)).await;
        assert!(matches!(damaged, Err(StoreError::Corrupt(_))), "{bad}: {damaged:?}");
        assert!(store.event(tenant(), ids[1]).await.unwrap().is_some(), "{bad}: others are whole");
    }
}

#[tokio::test]
async fn nothing_is_left_of_packs_and_keys_whose_runs_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (path, store) = fresh(&folder, SqliteSettings::default()).await;
    let worker = WorkerId("w".to_owned());
    let until = Timestamp(NOW.0 + 30_000);
    store.accept(vec![event(1, "one"), event(2, "two")]).await.unwrap();
    let wanted = Wanted::Due { suspects: 1 };
    let claim = Claim { worker, limit: 1, now: NOW, until, held: Vec::new(), wanted, turns: None };
    let Claimed::Run(claimed) = store.claim(claim).await.unwrap().remove(0) else {
        panic!("it is whole");
    };
    let lease = claimed.lease;
    let output = Some(Json::from_value("result".into()));
    let end = Next::End { state: RunState::Succeeded, output: output.clone(), error: None };
    // What waits is written again and again, and leaves nothing.
    let states = [StepState::Waiting, StepState::Running, StepState::Waiting, StepState::Succeeded];
    for (state, next) in states.into_iter().zip([Next::Hold, Next::Hold, Next::Hold, end]) {
        let output = output.clone();
        let step = StepRow { state, output, ..StepRow::pending("a", 0) };
        let settle =
            Settle { steps: vec![step], ..Settle::new(tenant(), lease.clone(), next, NOW) };
        store.settle(settle).await.unwrap();
    }
    let file = rusqlite::Connection::open(&path).unwrap();
    let count = |table: &str| -> i64 {
        let count = format!("SELECT count(*) FROM {table}");
        file.query_row(&count, [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("pack"), count("dedupe")), (4, 2));

    let ended = (tenant(), workflow());
    assert_eq!(store.forget(ended, Timestamp(NOW.0 + 1), 10).await, Ok(1));

    assert_eq!((count("pack"), count("dedupe"), count("event")), (1, 1, 1));
}

#[tokio::test]
async fn a_run_of_a_webhook_takes_few_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (path, store) = fresh(&folder, SqliteSettings::default()).await;
    store.close().await;
    let before = fs::metadata(&path).unwrap().len();
    let store = open(&path, SqliteSettings::default()).await;
    const RUNS: u128 = 500;
    for n in 0..RUNS {
        let payload = serde_json::json!({
            "trigger": {"id": n.to_string(), "name": "Ada", "email": "ada@example.com"},
            "event": {"source": "hook:deals", "headers": {"content-type": "application/json"}},
        });
        let mut accept = event(n, "");
        accept.event.payload = Json::from_value(payload.clone());
        let step = |node| StepRow {
            state: StepState::Succeeded,
            input: Some(Json::from_value(payload.clone())),
            output: Some(Json::from_value(payload["trigger"].clone())),
            ..StepRow::pending(node, 0)
        };
        accept.runs[0].steps = vec![step("one"), step("two")];
        accept.runs[0].ended = Some(Ended {
            state: RunState::Succeeded,
            output: Some(Json::from_value(payload)),
            at: NOW,
        });
        store.accept(vec![accept]).await.unwrap();
    }
    store.close().await;
    let bytes = u128::from(fs::metadata(&path).unwrap().len() - before) / RUNS;
    assert!(bytes < 900, "{bytes} bytes for each run");
}
