//! A file that an earlier version wrote: this one has to open it first.

use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tombolo_core::id::{ContentHash, RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{Reading, RunLog, Signal, Signalled};
use tombolo_store::{CopyError, SqliteSettings, SqliteStore};
use tombolo_test_postgres::Database;
use uuid::Uuid;

use crate::look::{self, go_on};
use crate::scene::{Home, after, key};
use crate::{copied, whole};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// A run that is queued and one that has succeeded, with their texts in their rows, and one text that is
/// too long for them.
const ROWS: &str = "
    INSERT INTO tenant VALUES (x'{1}', 'acme', 0);
    INSERT INTO workflow VALUES (x'{1}', x'{2}', 'deals', 1);
    INSERT INTO workflow_version VALUES (x'{1}', x'{2}', 1, '{}', '{}', 0);
    INSERT INTO plugin VALUES (x'{1}', x'{hash}', 'crm', '1.0.0', '{descriptor}', 9, 0);
    INSERT INTO payload (hash, tenant_id, bytes) VALUES (x'{hash}', x'{1}', CAST('{text}' AS BLOB));
    INSERT INTO payload_use VALUES (x'{4}', x'{hash}', x'{1}');
    INSERT INTO event VALUES (x'{1}', x'{5}', 'hook:deals', 'sha256:{hash}', NULL, '\"short\"', NULL, 0,
      x'{3}{4}');
    INSERT INTO run (tenant_id, id, workflow_id, version, event_id, trigger_name, state,
      correlation_id, created_at, ended_at, output, output_hash)
      VALUES (x'{1}', x'{3}', x'{2}', 1, x'{5}', 't', 'queued', 'mine-1', 0, NULL, NULL, NULL),
             (x'{1}', x'{4}', x'{2}', 1, x'{5}', 't', 'succeeded', '{4}', 0, 9, NULL, x'{hash}');
    INSERT INTO queue (run_id, tenant_id, available_at, lease_epoch, claims)
      VALUES (x'{3}', x'{1}', 0, 4, 0);
    INSERT INTO step (tenant_id, run_id, node, item, state, attempt, spent, input, output, ports,
      error, logs, plugin)
      VALUES (x'{1}', x'{3}', 'a', 0, 'succeeded', 1, 1, '\"short\"', '7', '[\"yes\"]',
        '{\"class\":\"transient\",\"code\":\"c\",\"message\":\"m\"}', '[]', x'{hash}');
    INSERT INTO effect VALUES (x'{1}', x'{3}', 'a', 0, 1, 0,
      '{\"sequence\":0,\"method\":\"GET\",\"url\":\"u\",\"request_headers\":[],\"request_hash\":\"h\",
        \"response_headers\":[],\"started_at\":\"1970-01-01T00:00:00Z\",\"duration_ms\":0}');";

/// What the plugin says of itself.
const DESCRIPTOR: &str = "{\"contract\":\"1.0\",\"name\":\"crm\",\"version\":\"1.0.0\",\
                          \"world\":\"connector\",\"operations\":[]}";

/// A file of schema 5.
async fn old_file(path: &Path, text: &str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    let before = MIGRATIONS.iter().filter(|migration| migration.version <= 5).cloned().collect();
    Migrator::with_migrations(before).run_direct(None, &mut connection, false).await.unwrap();
    connection.close().await.unwrap();
    let rows = (1..=5).fold(ROWS.to_owned(), |rows, n: u128| {
        rows.replace(&format!("{{{n}}}"), &format!("{n:032x}"))
    });
    let hash = ContentHash::of(text.as_bytes()).to_string();
    let rows = rows.replace("{hash}", &hash).replace("{text}", text);
    let rows = rows.replace("{descriptor}", DESCRIPTOR);
    rusqlite::Connection::open(path).unwrap().execute_batch(&rows).unwrap();
}

#[tokio::test]
async fn it_is_refused_until_this_version_has_opened_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tombolo.db");
    old_file(&path, &format!("\"{}\"", "long ".repeat(3_000))).await;
    let database = Database::fresh().await.unwrap();

    let refused = copied(&path, &database).await.unwrap_err();

    assert!(matches!(refused, CopyError::OtherSchema { found: 5, .. }), "{refused:?}");
    assert!(refused.to_string().contains("start this version once"), "{refused}");

    SqliteStore::open(&path, SqliteSettings::default()).await.unwrap().close().await;
    let copy = whole(&path, &database).await;
    let file = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap();
    let tenant = TenantId(Uuid::from_u128(1));
    let home = Home { tenant, workflow: WorkflowId(Uuid::from_u128(2)) };
    let here = look::everything(&file, home).await;
    assert_eq!(here, look::everything(&copy, home).await);
    let lines = go_on(&file, after(0)).await;
    assert_eq!((lines.len(), &lines), (1, &go_on(&copy, after(0)).await));
    assert_eq!(look::everything(&file, home).await, look::everything(&copy, home).await);

    // Whoever has ended takes nothing more, here and there.
    let run = RunId(Uuid::from_u128(3));
    assert!(copy.run(tenant, run).await.unwrap().unwrap().run.state.ended());
    let signal = Signal { tenant, run, step: key("a"), body: Json::null(), at: after(1) };
    let answer = copy.signal(signal.clone(), None).await.unwrap();
    assert!(matches!(answer, Signalled::Ended(_)), "{answer:?}");
    assert_eq!(file.signal(signal, None).await.unwrap(), answer);
    file.close().await;
    copy.close().await;
}
