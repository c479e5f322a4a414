//! A file that an earlier version wrote: what it holds is read, and goes on.

use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tombolo_core::audit::{Actor, AuditEntry, Trail};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, EventId, RunId, TenantId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Accept, Accepted, Access, AuditTrail, Claim, Claimed, ClaimedRun, Housekeeping, NewEvent, Next,
    Open, Opened, Page, Reading, RunFilter, RunLog, Settle, StepRow, Vacuumed, Wanted, WorkerId,
};
use tombolo_core::run::RunState;
use uuid::Uuid;

use super::open::MIGRATIONS;
use super::{SqliteSettings, SqliteStore};

const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const QUEUED: RunId = RunId(Uuid::from_u128(3));
const FAILED: RunId = RunId(Uuid::from_u128(4));
const NOW: Timestamp = Timestamp(1_000);

/// One event with two runs, one queued and one failed, whose texts are too long for their rows.
const ROWS: &str = "
    INSERT INTO tenant VALUES (x'{1}', 'acme', 0);
    INSERT INTO workflow VALUES (x'{1}', x'{2}', 'deals', 1);
    INSERT INTO workflow_version VALUES (x'{1}', x'{2}', 1, '{}', '{}', 0);
    INSERT INTO payload VALUES (x'{hash}', x'{1}', CAST('{text}' AS BLOB));
    INSERT INTO event VALUES (x'{1}', x'{5}', 'hook:deals', 'k', NULL, NULL, x'{hash}', 0, x'{3}{4}');
    INSERT INTO run VALUES (x'{1}', x'{3}', x'{2}', 1, x'{5}', 't', 'queued', 0, 'c', 0, NULL, NULL,
      NULL, NULL, NULL);
    INSERT INTO run VALUES (x'{1}', x'{4}', x'{2}', 1, x'{5}', 't', 'failed', 0, 'c', 0, 9, NULL,
      NULL, NULL, x'{hash}');
    INSERT INTO queue VALUES (x'{3}', x'{1}', 0, NULL, 4, 0);
    INSERT INTO step (tenant_id, run_id, node, item, state, attempt, spent, output_hash)
      VALUES (x'{1}', x'{3}', 'a', 0, 'succeeded', 1, 1, x'{hash}');";

/// The same with short texts, as schema 5 has them in its rows: a run that has succeeded, and one
/// that is queued.
const ROWS_5: &str = "
    INSERT INTO tenant VALUES (x'{1}', 'acme', 0);
    INSERT INTO workflow VALUES (x'{1}', x'{2}', 'deals', 1);
    INSERT INTO workflow_version VALUES (x'{1}', x'{2}', 1, '{}', '{}', 0);
    INSERT INTO plugin VALUES (x'{1}', x'{hash}', 'crm', '1.0.0', '{}', 9, 0);
    INSERT INTO event VALUES (x'{1}', x'{5}', 'hook:deals', 'sha256:{hash}', NULL, '{text}', NULL, 0,
      x'{3}{4}');
    INSERT INTO run (tenant_id, id, workflow_id, version, event_id, trigger_name, state,
      correlation_id, created_at, ended_at, output)
      VALUES (x'{1}', x'{3}', x'{2}', 1, x'{5}', 't', 'queued', 'mine-1', 0, NULL, NULL),
             (x'{1}', x'{4}', x'{2}', 1, x'{5}', 't', 'succeeded', '{4}', 0, 9, '{text}');
    INSERT INTO queue (run_id, tenant_id, available_at, lease_epoch, claims)
      VALUES (x'{3}', x'{1}', 0, 4, 0);
    INSERT INTO step (tenant_id, run_id, node, item, state, attempt, spent, input, output, ports,
      error, logs, plugin)
      VALUES (x'{1}', x'{3}', 'a', 0, 'succeeded', 1, 1, '{text}', '7', '[\"yes\"]',
        '{\"class\":\"transient\",\"code\":\"c\",\"message\":\"m\"}', '[]', x'{hash}');
    INSERT INTO effect VALUES (x'{1}', x'{3}', 'a', 0, 1, 0,
      '{\"sequence\":0,\"method\":\"GET\",\"url\":\"u\",\"request_headers\":[],\"request_hash\":\"h\",
        \"response_headers\":[],\"started_at\":\"1970-01-01T00:00:00Z\",\"duration_ms\":0}');";

/// A record from before it was a chain, of two tenants; the last detail is no JSON.
const ROWS_9: &str = "
    INSERT INTO audit (tenant_id, at, actor, action, subject, detail) VALUES
      (x'{1}', 1, 'token:tok_1', 'step-redriven', 'a', '{ \"b\": 10.5, \"a\": {text} }'),
      (x'{2}', 2, 'callback', 'step-signalled', 'b', 'null'),
      (x'{1}', 3, 'token:tok_1', 'run-replayed', 'c', '{'),
      (x'{1}', 4, 'token:tok_1', 'run-replayed', 'd', '{}');";

/// A file of that schema with these rows.
async fn old_file(path: &Path, (schema, rows): (i64, &str), text: &str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    let before = MIGRATIONS.iter().filter(|migration| migration.version <= schema);
    let before = before.cloned().collect();
    Migrator::with_migrations(before).run_direct(None, &mut connection, false).await.unwrap();
    connection.close().await.unwrap();
    let rows = (1..=5).fold(rows.to_owned(), |rows, n: u128| {
        rows.replace(&format!("{{{n}}}"), &format!("{n:032x}"))
    });
    let hash = ContentHash::of(text.as_bytes()).to_string();
    let rows = rows.replace("{hash}", &hash).replace("{text}", text);
    rusqlite::Connection::open(path).unwrap().execute_batch(&rows).unwrap();
}

async fn claim(store: &SqliteStore) -> ClaimedRun {
    let until = Timestamp(NOW.0 + 30_000);
    let worker = WorkerId("w".to_owned());
    let claim = Claim {
        worker,
        limit: 9,
        now: NOW,
        until,
        held: Vec::new(),
        wanted: Wanted::Due { suspects: 9 },
        turns: None,
    };
    match store.claim(claim).await.unwrap().remove(0) {
        Claimed::Run(run) => *run,
        Claimed::Damaged { reason, .. } => panic!("{reason}"),
    }
}

/// An event without runs.
fn event(key: &str) -> Accept {
    let event = NewEvent {
        id: EventId(Uuid::from_u128(6)),
        tenant: TENANT,
        source: "hook:deals".to_owned(),
        dedupe_key: key.to_owned(),
        fingerprint: None,
        payload: Json::null(),
        correlation_id: String::new(),
        received_at: NOW,
    };
    Accept { event, runs: Vec::new(), audit: None }
}

#[tokio::test]
async fn texts_in_rows_are_read_beside_packed_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tombolo.db");
    let text = "\"short\"";
    old_file(&path, (5, ROWS_5), text).await;
    let hash = ContentHash::of(text.as_bytes());

    let store = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap();

    let claimed = claim(&store).await;
    let old = &claimed.steps[0];
    assert_eq!((claimed.event.payload.text(), &*claimed.run.correlation_id), (text, "mine-1"));
    assert_eq!(old.input.as_ref().map(Json::text), Some(text));
    assert_eq!((&old.ports, old.plugin), (&vec!["yes".to_owned()], Some(hash)));
    assert_eq!(old.error.as_ref().map(|error| &*error.code), Some("c"));
    let calls = store.calls(TENANT, QUEUED).await.unwrap();
    assert_eq!((calls.len(), &*calls[0].record.method), (1, "GET"));

    let new = StepRow { node: "b".to_owned(), ..old.clone() };
    let next = Next::End { state: RunState::Succeeded, output: new.output.clone(), error: None };
    let settle = Settle::new(TENANT, claimed.lease, next, NOW);
    store.settle(Settle { steps: vec![new.clone()], ..settle }).await.unwrap();
    let view = store.run(TENANT, QUEUED).await.unwrap().unwrap();
    assert_eq!(view.steps, [old.clone(), new]);
    assert_eq!(view.run.output.as_ref().map(Json::text), Some("7"));

    // What the column holds is shorter; what is asked for is as it was.
    let correlation_id = Some(format!("{:032x}", FAILED.0.as_u128()));
    let filter = RunFilter { correlation_id: correlation_id.clone(), ..RunFilter::default() };
    let page = Page { after: None, limit: 9 };
    let found = store.runs(TENANT, &filter, page).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].run.id, Some(&found[0].run.correlation_id)),
        (FAILED, correlation_id.as_ref())
    );
}

#[tokio::test]
async fn an_event_of_before_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tombolo.db");
    old_file(&path, (5, ROWS_5), "7").await;
    let key = format!("sha256:{}", ContentHash::of(b"7"));
    let first = EventId(Uuid::from_u128(5));
    // The second start finds the keys hashed.
    for _ in 0..2 {
        let store = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap();
        let accepted = store.accept(vec![event(&key)]).await.unwrap().remove(0);
        let Accepted::Duplicate { event, runs, .. } = accepted else {
            panic!("{accepted:?}");
        };
        assert_eq!((event, runs), (first, vec![QUEUED, FAILED]));
        let view = store.event(TENANT, first).await.unwrap().unwrap();
        assert_eq!((view.dedupe_key, view.payload.text()), (key.clone(), "7"));
        store.close().await;
    }
    let store = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap();
    let accepted = store.accept(vec![event("another")]).await.unwrap().remove(0);
    assert!(matches!(accepted, Accepted::New { .. }), "{accepted:?}");
}

#[tokio::test]
async fn what_was_stored_before_is_read_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tombolo.db");
    let text = format!("\"{}\"", "before ".repeat(2_000));
    old_file(&path, (3, ROWS), &text).await;

    let store = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap();

    let worker = WorkerId("w".to_owned());
    let (now, until) = (NOW, Timestamp(NOW.0 + 30_000));
    let claimed = claim(&store).await;
    assert_eq!((claimed.run.id, claimed.lease.epoch), (QUEUED, NOW.0));
    assert_eq!((claimed.run.depth, &claimed.run.parent, claimed.steps[0].edits), (0, &None, 0));
    assert_eq!(claimed.steps[0].redriven_after, 0);
    assert_eq!(claimed.event.payload.text(), text);
    assert_eq!(claimed.steps[0].output.as_ref().map(Json::text), Some(&*text));
    let view = store.run(TENANT, FAILED).await.unwrap().unwrap();
    assert_eq!(view.run.output.as_ref().map(Json::text), Some(&*text));

    let open = Open { tenant: TENANT, run: FAILED, worker, now, until };
    let Opened::Run { run, before: RunState::Failed } = store.open(open).await.unwrap() else {
        panic!("it has ended");
    };
    let next = Next::End { state: RunState::Succeeded, output: None, error: None };
    store.settle(Settle::new(TENANT, run.lease, next, now)).await.unwrap();
    // The text is needed still; and free pages stay in a file from before.
    assert_eq!(store.sweep_payloads(None, 9).await.unwrap().deleted, 0);
    let Vacuumed { freed_bytes, .. } = store.vacuum(100).await.unwrap();
    assert_eq!(freed_bytes, 0);
}

#[tokio::test]
async fn a_record_of_before_becomes_a_chain_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tombolo.db");
    old_file(&path, (9, ROWS_9), "18446744073709551615").await;
    // The second start finds them chained.
    for n in 0..2 {
        let store = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap();
        store.record(TENANT, new_entry(n)).await.unwrap();
        let heads = store.audit_heads().await.unwrap();
        let ends: Vec<u64> = heads.iter().map(|(_, head)| head.seq).collect();
        assert_eq!(ends, [4 + n.unsigned_abs(), 1]);
        for (tenant, head) in heads {
            let mut trail = Trail::new(tenant, [].into(), Vec::new());
            let stored = store.audit_trail(tenant, None, 100).await.unwrap();
            stored.into_iter().for_each(|stored| trail.read(stored));
            assert_eq!(trail.end(Some(head)).findings, []);
        }
        let all = store.audit(TENANT, 9, None).await.unwrap();
        let told: Vec<(u64, &str)> =
            all.iter().rev().take(3).map(|(seq, entry)| (*seq, &*entry.subject)).collect();
        assert_eq!(told, [(1, "a"), (2, "c"), (3, "d")]);
        let first = &all[all.len() - 1].1;
        let detail = serde_json::json!({"a": "18446744073709551615", "b": "10.5"});
        assert_eq!((&first.detail, &first.correlation_id), (&detail, &None));
        assert_eq!(all[all.len() - 2].1.detail["unreadable"], "{");
        store.close().await;
    }
}

fn new_entry(n: i64) -> AuditEntry {
    AuditEntry {
        at: Timestamp(n),
        actor: Actor("token:tok_1".to_owned()),
        action: "step-redriven".to_owned(),
        subject: "new".to_owned(),
        detail: serde_json::Value::Null,
        correlation_id: None,
    }
}
