//! A damaged file is found: at the start, or when it is read.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tombolo_core::id::ContentHash;
use tombolo_core::ports::store::{Reading, RunLog, StoreError};
use tombolo_store::{SqliteSettings, SqliteStore};

use crate::{cut, event, fresh, open, tenant};

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
