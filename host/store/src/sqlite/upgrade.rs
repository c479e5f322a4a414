//! A file that an earlier version wrote: what it holds is read, and goes on.

use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, RunId, TenantId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Claim, Claimed, Housekeeping, Next, Open, Opened, Reading, RunLog, Settle, Vacuumed, Wanted,
    WorkerId,
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

/// A file of schema 3.
async fn old_file(path: &Path, text: &str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    let before = MIGRATIONS.iter().filter(|migration| migration.version <= 3).cloned().collect();
    Migrator::with_migrations(before).run_direct(None, &mut connection, false).await.unwrap();
    connection.close().await.unwrap();
    let rows = (1..=5).fold(ROWS.to_owned(), |rows, n: u128| {
        rows.replace(&format!("{{{n}}}"), &format!("{n:032x}"))
    });
    let hash = ContentHash::of(text.as_bytes()).to_string();
    let rows = rows.replace("{hash}", &hash).replace("{text}", text);
    rusqlite::Connection::open(path).unwrap().execute_batch(&rows).unwrap();
}

#[tokio::test]
async fn what_was_stored_before_is_read_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tombolo.db");
    let text = format!("\"{}\"", "before ".repeat(2_000));
    old_file(&path, &text).await;

    let store = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap();

    let worker = WorkerId("w".to_owned());
    let (now, until) = (NOW, Timestamp(NOW.0 + 30_000));
    let claim = Claim {
        worker: worker.clone(),
        limit: 9,
        now,
        until,
        held: Vec::new(),
        wanted: Wanted::Due { suspects: 9 },
    };
    let claimed = match store.claim(claim).await.unwrap().remove(0) {
        Claimed::Run(run) => *run,
        Claimed::Damaged { reason, .. } => panic!("{reason}"),
    };
    assert_eq!((claimed.run.id, claimed.lease.epoch), (QUEUED, 5));
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
