//! What only a file can show: its mode, damage, newer schemas, a full disk, and power cuts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use tempfile::TempDir;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, EventId, RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Accept, Access, Catalog, Claim, Claimed, Ended, Housekeeping, NewEvent, NewRun, NewVersion,
    Next, Reading, RunLog, Settle, StepRow, StoreError, Tenant, Wanted, WorkerId,
};
use tombolo_core::run::{RunState, StepState};
use tombolo_store::{SqliteSettings, SqliteStore};
use uuid::Uuid;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn tenant() -> TenantId {
    TenantId(Uuid::from_u128(1))
}

fn workflow() -> WorkflowId {
    WorkflowId(Uuid::from_u128(2))
}

fn run(n: u128) -> RunId {
    RunId(Uuid::from_u128(1000 + n))
}

fn event(n: u128, payload: &str) -> Accept {
    Accept {
        event: NewEvent {
            id: EventId(Uuid::from_u128(1000 + n)),
            tenant: tenant(),
            source: "hook:deals".to_owned(),
            dedupe_key: n.to_string(),
            fingerprint: None,
            payload: Json::from_value(payload.into()),
            correlation_id: n.to_string(),
            received_at: NOW,
        },
        runs: vec![NewRun {
            id: run(n),
            workflow: workflow(),
            version: 1,
            trigger: "deal_changed".to_owned(),
            deadline: None,
            lease: None,
            parent: None,
            depth: 0,
            replay_of: None,
            steps: Vec::new(),
            ended: None,
            flow: Default::default(),
        }],
    }
}

/// Text that compression makes a quarter shorter at most: digits of the base 64 in no order, from a
/// generator of Marsaglia's (xorshift, 2003).
fn noise(bytes: usize) -> String {
    const DIGITS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let digits = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(DIGITS[(state >> 58) as usize])
    });
    digits.take(bytes).collect()
}

async fn open(path: &Path, settings: SqliteSettings) -> SqliteStore {
    SqliteStore::open(path, settings).await.unwrap()
}

/// A store with a tenant and a workflow.
async fn fresh(folder: &TempDir, settings: SqliteSettings) -> (PathBuf, SqliteStore) {
    let path = folder.path().join("tombolo.db");
    let store = open(&path, settings).await;
    let acme = Tenant { id: tenant(), name: "acme".to_owned() };
    store.ensure_tenant(acme, NOW).await.unwrap();
    let version = NewVersion {
        tenant: tenant(),
        id: workflow(),
        name: "deals".to_owned(),
        definition: Json::null(),
        pins: BTreeMap::new(),
        now: NOW,
    };
    store.apply_workflow(version).await.unwrap();
    (path, store)
}

async fn has(store: &SqliteStore, n: u128) -> bool {
    store.run(tenant(), run(n)).await.unwrap().is_some()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[tokio::test]
async fn the_file_and_its_log_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let (path, store) = fresh(&folder, SqliteSettings::default()).await;
    for file in [path.clone(), with_suffix(&path, "-wal"), with_suffix(&path, "-shm")] {
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    store.close().await;
    let left = fs::metadata(with_suffix(&path, "-wal")).map_or(0, |file| file.len());
    assert_eq!(left, 0, "closing copies the log into the file");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (path, store) = fresh(&folder, SqliteSettings::default()).await;
    store.close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9001, 'later', 1, x'00', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let before = fs::read(&path).unwrap();

    let error = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap_err();

    let text = error.to_string();
    assert!(text.contains("schema 9001") && text.contains("update Tombolo"), "{text}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_new_file_can_give_pages_back_and_its_pages_are_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let settings = SqliteSettings { page_bytes: 4096, ..SqliteSettings::default() };
    let (path, store) = fresh(&folder, settings).await;
    store.close().await;
    let file = rusqlite::Connection::open(&path).unwrap();
    let pragma = |name| file.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    const INCREMENTAL: i64 = 2;
    assert_eq!((pragma("auto_vacuum"), pragma("page_size")), (INCREMENTAL, 4096));
}

#[tokio::test]
async fn nothing_changes_or_deletes_an_entry_of_the_audit() {
    let folder = tempfile::tempdir().unwrap();
    let (path, store) = fresh(&folder, SqliteSettings::default()).await;
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute("INSERT INTO audit VALUES (NULL, x'01', 0, 'a', 'b', 'c', '{}')", []).unwrap();
    for statement in ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"] {
        let refused = file.execute(statement, []).unwrap_err().to_string();
        assert!(refused.contains("an entry of the audit"), "{refused}");
    }
    store.close().await;
}

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
    let claim = Claim { worker, limit: 1, now: NOW, until, held: Vec::new(), wanted };
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

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tombolo.db");
    fs::write(&path, "Dear diary, ".repeat(1000)).unwrap();
    let error = SqliteStore::open(&path, SqliteSettings::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    let nowhere = folder.path().join("nowhere").join("tombolo.db");
    let error = SqliteStore::open(&nowhere, SqliteSettings::default()).await.unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

/// The pack of this event, as it stands in the file.
fn packed(path: &Path, n: u128) -> Vec<u8> {
    let file = rusqlite::Connection::open(path).unwrap();
    let packed = "SELECT p.bytes FROM event e JOIN pack p ON p.id = e.pack WHERE e.id = ?";
    let id = event(n, "").event.id;
    file.query_row(packed, [&id.0.as_bytes()[..]], |row| row.get(0)).unwrap()
}

/// Overwrites the page of the file that holds these bytes.
fn damage(path: &Path, held: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let page = SqliteSettings::default().page_bytes as usize;
    let found = bytes.windows(held.len()).position(|window| window == held).unwrap();
    let start = found / page * page;
    bytes[start..start + page].fill(0xAA);
    fs::write(path, bytes).unwrap();
}

/// A file with 500 events, each with a text of its own, that is closed. Their packs take several
/// pages.
async fn filled(folder: &TempDir) -> PathBuf {
    let (path, store) = fresh(folder, SqliteSettings::default()).await;
    let batch =
        (0..500).map(|n| event(n, &ContentHash::of(&n.to_be_bytes()).to_string())).collect();
    store.accept(batch).await.unwrap();
    store.close().await;
    path
}

#[tokio::test]
async fn after_an_unclean_end_damage_is_found_at_every_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(&folder).await;
    let settings = SqliteSettings { checkpoint_pages: 0, ..SqliteSettings::default() };
    let store = open(&path, settings).await;
    store.accept(vec![event(1000, "last")]).await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = cut(&path, &elsewhere, None);
    // Of the other file: whoever opens and closes the copy copies its log.
    damage(&copy, &packed(&path, 250));

    // A start that is refused leaves what the next one is refused for.
    for _ in 0..2 {
        let error = SqliteStore::open(&copy, SqliteSettings::default()).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    }
    let linked = folder.path().join("linked.db");
    std::os::unix::fs::symlink(&copy, &linked).unwrap();
    let error = SqliteStore::open(&linked, SqliteSettings::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
}

#[tokio::test]
async fn after_a_clean_end_damage_is_found_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(&folder).await;
    let held = packed(&path, 250);
    damage(&path, &held);

    let store = open(&path, SqliteSettings::default()).await;

    let damaged = store.event(tenant(), event(250, "").event.id).await;
    assert!(matches!(damaged, Err(StoreError::Corrupt(_))), "{damaged:?}");
    let whole = store.event(tenant(), event(499, "").event.id).await.unwrap();
    assert!(whole.is_some());
}

#[tokio::test]
async fn a_file_grows_to_its_bound_whatever_its_pages_are() {
    let folder = tempfile::tempdir().unwrap();
    let small = SqliteSettings { page_bytes: 4096, ..SqliteSettings::default() };
    let (path, store) = fresh(&folder, small).await;
    store.close().await;
    let settings = SqliteSettings {
        page_bytes: 32_768,
        max_file_bytes: Some(2 * 1024 * 1024),
        ..SqliteSettings::default()
    };
    let store = open(&path, settings).await;
    let most = noise(1536 * 1024);
    store.accept(vec![event(1, &most)]).await.unwrap();
    let more = format!("{most}y");
    assert_eq!(store.accept(vec![event(2, &more)]).await, Err(StoreError::Full));
}

#[tokio::test]
async fn a_full_disk_fails_the_batch_and_the_writer_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        SqliteSettings { max_file_bytes: Some(1024 * 1024), ..SqliteSettings::default() };
    let (_path, store) = fresh(&folder, settings).await;
    let large = noise(2 * 1024 * 1024);

    let together = [event(1, "small"), event(2, &large), event(3, "small")];
    let answers = join_all(together.map(|event| store.accept(vec![event]))).await;

    assert_eq!(answers[1], Err(StoreError::Full));
    for (n, answer) in (1..).zip(answers) {
        // The small ones fail if they were in the same batch.
        assert!(answer.is_ok() || answer == Err(StoreError::Full), "{answer:?}");
        assert_eq!(has(&store, n).await, answer.is_ok());
    }
    for n in 4..20 {
        store.accept(vec![event(n, "small")]).await.unwrap();
        assert!(has(&store, n).await);
    }
}

/// The files as a power cut would leave them: the log has been flushed up to `wal_bytes`.
fn cut(path: &Path, folder: &TempDir, wal_bytes: Option<usize>) -> PathBuf {
    let copy = folder.path().join("tombolo.db");
    fs::copy(path, &copy).unwrap();
    let mut log = fs::read(with_suffix(path, "-wal")).unwrap();
    log.truncate(wal_bytes.unwrap_or(log.len()));
    fs::write(with_suffix(&copy, "-wal"), log).unwrap();
    copy
}

#[tokio::test]
async fn after_a_power_cut_every_answered_write_is_there() {
    let folder = tempfile::tempdir().unwrap();
    // No checkpoint, so that file and log can be copied one after the other.
    let settings = SqliteSettings { checkpoint_pages: 0, ..SqliteSettings::default() };
    let (path, store) = fresh(&folder, settings).await;
    for round in 0..10 {
        let first = round * 20;
        let answers = (first..first + 20).map(|n| store.accept(vec![event(n, "x")]));
        for answer in join_all(answers).await {
            answer.unwrap();
        }
        // Under way, not answered: may be there or not.
        let open_write = store.accept(vec![event(10_000 + round, "x")]);
        let elsewhere = tempfile::tempdir().unwrap();
        let (_, copy) = futures_util::join!(open_write, async { cut(&path, &elsewhere, None) });

        let found = open(&copy, SqliteSettings::default()).await;

        for n in 0..first + 20 {
            assert!(has(&found, n).await, "{n} was answered");
        }
        found.close().await;
    }
}

#[tokio::test]
async fn wherever_the_log_is_cut_a_batch_is_whole_or_not_there() {
    const BATCH: u128 = 7;
    let folder = tempfile::tempdir().unwrap();
    let settings = SqliteSettings { checkpoint_pages: 0, ..SqliteSettings::default() };
    let (path, store) = fresh(&folder, settings).await;
    let schema = fs::metadata(with_suffix(&path, "-wal")).unwrap().len() as usize;
    let mut flushed = Vec::new();
    for batch in 0..6 {
        let events = (batch * BATCH..(batch + 1) * BATCH).map(|n| event(n, "x"));
        store.accept(events.collect()).await.unwrap();
        flushed.push(fs::metadata(with_suffix(&path, "-wal")).unwrap().len() as usize);
    }
    let end = *flushed.last().unwrap();
    for wal_bytes in (schema..=end).step_by(4096 + 513) {
        let elsewhere = tempfile::tempdir().unwrap();
        let copy = cut(&path, &elsewhere, Some(wal_bytes));
        let found = open(&copy, SqliteSettings::default()).await;
        for (batch, flushed) in flushed.iter().enumerate() {
            let first = batch as u128 * BATCH;
            let mut there = 0;
            for n in first..first + BATCH {
                there += u128::from(has(&found, n).await);
            }
            let expected = if *flushed <= wal_bytes { BATCH } else { 0 };
            assert_eq!(there, expected, "batch {batch}, cut at {wal_bytes}");
        }
        found.close().await;
    }
}

#[tokio::test]
async fn a_new_reader_waits_for_no_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let settings =
        SqliteSettings { busy_timeout: Duration::from_millis(20), ..SqliteSettings::default() };
    let store = SqliteStore::open(&path, settings).await.unwrap();
    let writer = rusqlite::Connection::open(&path).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    // More at a time than there are connections so far.
    for read in join_all((0..8).map(|_| store.tenant("acme"))).await {
        assert_eq!(read, Ok(None));
    }
}
