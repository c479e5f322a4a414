//! Power cuts, by the files as they leave them.

use std::fs;

use futures_util::future::join_all;
use tombolo_core::ports::store::RunLog;
use tombolo_store::SqliteSettings;

use crate::{cut, event, fresh, has, open, with_suffix};

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
