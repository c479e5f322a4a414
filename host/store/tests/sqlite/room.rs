//! A bound of the file, and a full disk.

use futures_util::future::join_all;
use tombolo_core::ports::store::{RunLog, StoreError};
use tombolo_store::SqliteSettings;

use crate::{event, fresh, has, noise, open};

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
