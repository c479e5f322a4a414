//! Disks without space: at every single write, under load, and at the start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, bail, ensure};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tombolo_core::ports::store::{Page, Reading, RunFilter, RunLog, StoreError, WorkerId};
use tombolo_store::{SqliteSettings, SqliteStore};
use tombolo_tests::disk::{Leaves, Spell};

use crate::place::Place;
use crate::story::{Stage, Story, TENANT};

/// The log is copied into the file every few commits.
fn settings() -> SqliteSettings {
    SqliteSettings { checkpoint_pages: 20, ..SqliteSettings::default() }
}

/// Brings a run one stage further; false if the disk was full.
async fn go_on(place: &Place, store: &SqliteStore, story: Story) -> anyhow::Result<bool> {
    let worker = WorkerId("one".to_owned());
    let (ledger, lease) = (&place.ledger, story.first_lease(&worker));
    let (stage, written) = match ledger.stage(story) {
        Stage::Absent => {
            ledger.try_(story, Stage::Accepted);
            let accepted = store.accept(vec![story.accept(Some(&worker))]).await;
            (Stage::Accepted, accepted.map(drop))
        }
        from => {
            let stage = if from == Stage::Accepted { Stage::Started } else { Stage::Ended };
            ledger.try_(story, stage);
            (stage, store.settle(story.settle(&lease, stage)).await)
        }
    };
    match written {
        Ok(()) => ledger.acknowledge(story, stage),
        Err(StoreError::Full) => {}
        Err(other) => bail!("a full disk is told as `{other}` ({story:?}, {stage:?})"),
    }
    Ok(written.is_ok())
}

/// Writes runs from beginning to end; returns how often there was no space.
async fn write(place: &Place, store: &SqliteStore, stories: &[Story]) -> anyhow::Result<u64> {
    let mut full = 0;
    for story in stories {
        while place.ledger.stage(*story) < Stage::Ended {
            if !go_on(place, store, *story).await? {
                full += 1;
                // Back to the sender; the next run has its turn.
                break;
            }
        }
    }
    Ok(full)
}

#[tokio::test(flavor = "multi_thread")]
async fn at_whichever_write_the_disk_is_full_the_store_says_so_and_works_on() -> anyhow::Result<()>
{
    /// Of these numbers modulo 8: one run with short texts, one with long ones, alike each time.
    const RUNS: [u64; 2] = [1, 4];
    const CHECK_EVERY: u64 = 25;
    /// The work varies by some writes: when the log is copied, and when a page is split.
    const MISSES: u64 = 8;
    let place = Place::new(settings())?;
    let mut store = place.open().await?;
    let (mut refused, mut told) = (0, 0);
    for spell in [Spell::Once, Spell::FromThenOn] {
        let mut missed = 0;
        for after in 0.. {
            let round = place.ledger.next().0.next_multiple_of(8);
            let stories = RUNS.map(|number| Story(round + number));
            let before = place.disk.refuse_writes(after, spell)?.refused;
            let full = write(&place, &store, &stories).await;
            told += full.with_context(|| format!("write {after} refused, {spell:?}"))?;
            let now = place.disk.heal()?.refused;
            // Space is back: the same store does what it could not do.
            let left = write(&place, &store, &stories).await?;
            ensure!(left == 0, "still full with space after write {after}, {spell:?}");
            missed = if now == before { missed + 1 } else { 0 };
            refused += now - before;
            if missed == MISSES {
                break;
            }
            if after % CHECK_EVERY == 0 {
                place.disk.cut(Leaves::Flushed)?;
                store.close().await;
                store = place.reopen_and_check().await?;
            }
        }
    }
    place.check(&store).await?;
    ensure!(refused > 100 && told > 50, "{refused} writes refused, {told} runs told so");
    crate::tell(&format!(
        "full: {refused} writes refused, each of the work's at least once, {told} runs told so, {} \
         writes acknowledged, lost=0",
        place.ledger.answers()
    ));
    Ok(())
}

/// What a file goes through before the start that meets a full disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    PowerCut,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_a_full_disk_says_so_and_the_next_one_is_fine() -> anyhow::Result<()> {
    // CI has time for some of the writes that make the tables.
    let step = if crate::times() > 1 { 1 } else { 3 };
    let mut refused = 0;
    for (before, step) in [(Before::Nothing, step), (Before::PowerCut, 1)] {
        for after in (0..).step_by(step) {
            let place = Place::new(settings())?;
            if before == Before::PowerCut {
                let store = place.open().await?;
                write(&place, &store, &[Story(0), Story(1)]).await?;
                place.disk.cut(Leaves::Flushed)?;
                store.close().await;
                place.disk.remount()?;
            }
            place.disk.refuse_writes(after, Spell::FromThenOn)?;
            match place.open().await {
                Ok(store) => store.close().await,
                Err(StoreError::Full) => {}
                Err(other) => {
                    println!("{before:?}, write {after}: a full disk is told as `{other}`")
                }
            }
            let state = place.disk.heal()?;
            let store = place.open().await.with_context(|| format!("{before:?}, write {after}"))?;
            write(&place, &store, &[place.ledger.next()]).await?;
            place.check(&store).await?;
            if state.refused == 0 {
                break;
            }
            refused += 1;
        }
    }
    ensure!(refused > 50, "{refused} writes were refused");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_any_space_says_so() -> anyhow::Result<()> {
    let place = Place::new(settings())?;
    let store = place.open().await?;
    write(&place, &store, &[Story(0)]).await?;
    store.close().await;
    // At each of these bounds another file cannot be made, or cannot grow.
    let used = place.disk.look()?.used_bytes;
    for room in [0, 4_096, 8_192, 32_768, 36_864, 40_960] {
        place.disk.space(Some(used + room))?;
        let opened = SqliteStore::open(&place.file(), place.settings.clone()).await;
        match opened {
            Ok(store) => store.close().await,
            Err(error) => ensure!(error == StoreError::Full, "{room} bytes: told as `{error}`"),
        }
        ensure!(room > 0 || place.disk.look()?.refused > 0, "there was space");
    }
    place.disk.space(None)?;
    let store = place.open().await?;
    place.check(&store).await
}

/// Writers that send again until they are answered, as callers of a full server do.
struct Senders {
    place: Arc<Place>,
    store: Arc<SqliteStore>,
    next: AtomicU64,
    full: AtomicU64,
    told: Notify,
    enough: AtomicBool,
}

impl Senders {
    /// Until it is enough.
    async fn send(&self) -> anyhow::Result<()> {
        while !self.enough.load(Ordering::Relaxed) {
            let story = Story(self.next.fetch_add(1, Ordering::Relaxed));
            while self.place.ledger.stage(story) < Stage::Ended {
                if !go_on(&self.place, &self.store, story).await? {
                    self.full.fetch_add(1, Ordering::Relaxed);
                    self.told.notify_waiters();
                }
            }
        }
        Ok(())
    }

    /// Waits until a write that came after now was refused.
    async fn wait_for_full(&self) {
        self.told.notified().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_under_load_is_no_end() -> anyhow::Result<()> {
    const SENDERS: u64 = 16;
    const TIMES: u64 = 6;
    const ROOM_BYTES: u64 = 200_000;
    let place = Arc::new(Place::new(settings())?);
    let store = Arc::new(place.open().await?);
    let senders = Arc::new(Senders {
        place: place.clone(),
        store: store.clone(),
        next: AtomicU64::new(0),
        full: AtomicU64::new(0),
        told: Notify::new(),
        enough: AtomicBool::new(false),
    });
    let mut sending = JoinSet::new();
    for _ in 0..SENDERS {
        let senders = senders.clone();
        sending.spawn(async move { senders.send().await });
    }
    for _ in 0..TIMES {
        let used = place.disk.look()?.used_bytes;
        place.disk.space(Some(used + ROOM_BYTES))?;
        tokio::select! {
            () = senders.wait_for_full() => {}
            Some(sent) = sending.join_next() => bail!("a sender gave up: {:?}", sent?),
        }
        // What was written can still be read.
        let all =
            store.runs(TENANT, &RunFilter::default(), Page { after: None, limit: 10 }).await?;
        ensure!(!all.is_empty(), "nothing can be read from a full disk");
        place.disk.space(None)?;
        place.ledger.wait_for(20).await;
    }
    senders.enough.store(true, Ordering::Relaxed);
    while let Some(sent) = sending.join_next().await {
        sent??;
    }
    place.check(&store).await?;
    let (ended, full) = (place.ledger.count(Stage::Ended), senders.full.load(Ordering::Relaxed));
    let begun = senders.next.load(Ordering::Relaxed);
    ensure!(ended == begun, "{ended} of {begun} runs have ended");
    crate::tell(&format!("full: {TIMES} times under load, {full} refusals, {ended} runs, lost=0"));
    Ok(())
}
