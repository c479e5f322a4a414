//! The file: who may read it, which one is opened, and what is never changed in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use futures_util::future::join_all;
use tombolo_core::ports::store::{Access, StoreError};
use tombolo_store::{SqliteSettings, SqliteStore};

use crate::{fresh, with_suffix};

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
