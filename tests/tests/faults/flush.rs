//! Flushes that fail. Linux drops what such a flush was to write, and the next one says that all is
//! well; so a store that believes the next one loses what it has acknowledged.

use anyhow::{Context, ensure};
use rusqlite::Connection;
use tombolo_core::ports::store::{RunLog, StoreError, WorkerId};
use tombolo_store::{SqliteSettings, SqliteStore, Synchronous};
use tombolo_tests::disk::Leaves;

use crate::place::Place;
use crate::story::{Stage, Story};

/// The log is copied into the file every few commits.
fn settings() -> SqliteSettings {
    SqliteSettings { page_bytes: 4_096, checkpoint_pages: 30, ..SqliteSettings::default() }
}

fn worker() -> WorkerId {
    WorkerId("one".to_owned())
}

/// Writes one run from beginning to end, or up to the first write that fails.
async fn write(place: &Place, store: &SqliteStore, story: Story) -> Result<(), StoreError> {
    place.ledger.try_(story, Stage::Accepted);
    store.accept(vec![story.accept(Some(&worker()))]).await?;
    place.ledger.acknowledge(story, Stage::Accepted);
    for stage in [Stage::Started, Stage::Ended] {
        place.ledger.try_(story, stage);
        store.settle(story.settle(&story.first_lease(&worker()), stage)).await?;
        place.ledger.acknowledge(story, stage);
    }
    Ok(())
}

/// Writes so many runs more; returns how many of them failed.
async fn write_some(place: &Place, store: &SqliteStore, runs: u64) -> anyhow::Result<u64> {
    let mut failed = 0;
    for _ in 0..runs {
        match write(place, store, place.ledger.next()).await {
            Ok(()) => {}
            Err(StoreError::Database(_)) => failed += 1,
            Err(other) => anyhow::bail!("a flush that fails is told as `{other}`"),
        }
    }
    Ok(failed)
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_flush_fails_nothing_acknowledged_is_lost() -> anyhow::Result<()> {
    let (mut flushes, mut refused, mut answers) = (0, 0, 0);
    for after in 0.. {
        let place = Place::new(settings())?;
        place.disk.fail_flush(after, Leaves::Any { seed: after })?;
        let mut opened = place.open().await;
        if let Err(error) = &opened {
            // As an operator would: start it again.
            ensure!(place.disk.look()?.failed_flushes == 1, "not opened: {error}");
            opened = place.open().await;
        }
        let store = opened.with_context(|| format!("after flush {after} had failed"))?;
        refused += write_some(&place, &store, 6).await?;
        store.close().await;
        let failed = place.disk.look()?.failed_flushes;
        place.disk.cut(Leaves::Flushed)?;
        let found = place.reopen_and_check().await.with_context(|| format!("flush {after}"))?;
        found.close().await;
        answers += place.ledger.answers();
        flushes = after;
        if failed == 0 {
            break;
        }
    }
    ensure!(flushes > 20 && refused > 0, "{flushes} flushes, {refused} writes refused");
    crate::tell(&format!(
        "flush: each of {flushes} flushes failed once, {refused} runs told so, {answers} writes \
         acknowledged, lost=0"
    ));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_log_that_was_not_flushed_is_not_taken_for_one() -> anyhow::Result<()> {
    // Where the reader begins and which flush fails decide together whether it is the one.
    for (before, after) in (0..4).flat_map(|before| [1, 2, 3].map(|after| (before, after))) {
        let place = Place::new(settings())?;
        let store = place.open().await?;
        write_some(&place, &store, 4 + before).await?;
        // While somebody reads an old state, the log is copied up to there only, without a flush.
        let reader = Connection::open(place.file())?;
        reader.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")?;
        write_some(&place, &store, 4).await?;
        reader.execute_batch("COMMIT")?;
        place.disk.fail_flush(after, Leaves::Flushed)?;
        write_some(&place, &store, 8).await?;
        ensure!(place.disk.look()?.failed_flushes == 1, "no flush failed");
        place.disk.cut(Leaves::Flushed)?;
        store.close().await;
        let found = place.reopen_and_check().await;
        found.with_context(|| format!("flush {after}, reader after {before}"))?.close().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_flushes_the_last_writes_are_lost_and_the_file_is_whole() -> anyhow::Result<()> {
    let (synchronous, checkpoint_pages) = (Synchronous::Normal, 2_000);
    let place = Place::new(SqliteSettings { synchronous, checkpoint_pages, ..settings() })?;
    let store = place.open().await?;
    write_some(&place, &store, 2).await?;
    place.disk.cut(Leaves::Flushed)?;
    store.close().await;
    place.disk.remount()?;
    let store = place.open().await?;
    let lost = place.check(&store).await.expect_err("nothing was flushed, and nothing is lost");
    ensure!(lost.to_string().starts_with("lost: "), "{lost}");
    for story in place.ledger.stories() {
        ensure!(story.found(&store).await? == Stage::Absent, "{story:?}");
    }
    Ok(())
}
