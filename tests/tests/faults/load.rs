//! Many callers that write runs until the disk refuses, beside others that read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::ensure;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tombolo_core::ports::store::{
    Accepted, Claim, Claimed, Lease, Page, Reading, RunFilter, RunLog, StoreError, Wanted, WorkerId,
};
use tombolo_store::SqliteStore;

use crate::place::Place;
use crate::story::{LATER, NOW, Stage, Story, TENANT};

const WRITERS: u64 = 24;

/// Runs that one writer writes at most: far more than fit before a cut.
const MAX_RUNS: u64 = 2_000;

/// Runs accepted in one write, at most.
const MAX_TOGETHER: u64 = 4;

struct Load {
    store: Arc<SqliteStore>,
    place: Arc<Place>,
    worker: WorkerId,
    next: AtomicU64,
}

/// Writes until every writer was refused once, and returns what they were told.
pub async fn write_until_refused(
    place: &Arc<Place>,
    store: &Arc<SqliteStore>,
    seed: u64,
) -> anyhow::Result<Vec<StoreError>> {
    let load = Arc::new(Load {
        store: store.clone(),
        place: place.clone(),
        worker: WorkerId(format!("process-{seed}")),
        next: AtomicU64::new(place.ledger.next().0),
    });
    let done = CancellationToken::new();
    let reading = tokio::spawn(read_on(load.clone(), done.clone()));
    let holding = tokio::spawn(hold_snapshots(load.clone(), done.clone()));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let load = load.clone();
        let rng = StdRng::seed_from_u64(seed ^ (writer << 32));
        writers.spawn(async move { load.write(rng).await });
    }
    let mut refusals = Vec::new();
    while let Some(refused) = writers.join_next().await {
        refusals.extend(refused?.err());
    }
    done.cancel();
    reading.await?;
    holding.await??;
    ensure!(refusals.len() as u64 == WRITERS, "some writers were never refused");
    Ok(refusals)
}

impl Load {
    /// Takes over what a process before has left, then writes runs of its own.
    async fn write(&self, mut rng: StdRng) -> Result<(), StoreError> {
        self.store.take_over(NOW).await?;
        self.claim(8).await?;
        for _ in 0..MAX_RUNS {
            let first = self.next.fetch_add(MAX_TOGETHER, Ordering::Relaxed);
            let together = rng.random_range(1..=MAX_TOGETHER);
            let stories: Vec<Story> = (first..first + together).map(Story).collect();
            let worker = rng.random::<bool>().then_some(&self.worker);
            self.accept(&stories, worker).await?;
            if rng.random_ratio(1, 8) {
                self.accept_again(&stories).await?;
            }
            match worker {
                Some(worker) => {
                    for story in stories {
                        self.drive(story, &story.first_lease(worker), Stage::Accepted).await?;
                    }
                }
                None => self.claim(rng.random_range(1..6)).await?,
            }
        }
        Ok(())
    }

    async fn accept(&self, stories: &[Story], worker: Option<&WorkerId>) -> Result<(), StoreError> {
        let ledger = &self.place.ledger;
        stories.iter().for_each(|story| ledger.try_(*story, Stage::Accepted));
        self.store.accept(stories.iter().map(|story| story.accept(worker)).collect()).await?;
        stories.iter().for_each(|story| ledger.acknowledge(*story, Stage::Accepted));
        Ok(())
    }

    /// A sender that did not hear the answer: the first run is told again.
    async fn accept_again(&self, stories: &[Story]) -> Result<(), StoreError> {
        let again = stories.iter().map(|story| story.accept(None)).collect();
        for (accepted, story) in self.store.accept(again).await?.iter().zip(stories) {
            let known =
                matches!(accepted, Accepted::Duplicate { runs, .. } if runs[..] == [story.run()]);
            assert!(known, "{story:?}: {accepted:?}");
        }
        Ok(())
    }

    async fn claim(&self, limit: usize) -> Result<(), StoreError> {
        let (worker, held) = (self.worker.clone(), Vec::new());
        let wanted = Wanted::Due { suspects: limit };
        let claim = Claim { worker, limit, now: NOW, until: LATER, held, wanted, turns: None };
        for claimed in self.store.claim(claim).await? {
            let Claimed::Run(claimed) = claimed else { panic!("damaged: {claimed:?}") };
            let stage = if claimed.steps.is_empty() { Stage::Accepted } else { Stage::Started };
            self.drive(Story::of(claimed.run.id), &claimed.lease, stage).await?;
        }
        Ok(())
    }

    async fn drive(&self, story: Story, lease: &Lease, from: Stage) -> Result<(), StoreError> {
        for stage in [Stage::Started, Stage::Ended] {
            if stage > from {
                self.place.ledger.try_(story, stage);
                self.store.settle(story.settle(lease, stage)).await?;
                self.place.ledger.acknowledge(story, stage);
            }
        }
        Ok(())
    }
}

/// Lists runs as people do.
async fn read_on(load: Arc<Load>, done: CancellationToken) {
    while !done.is_cancelled() {
        let (filter, page) = (RunFilter::default(), Page { after: None, limit: 50 });
        // A reader may fail once the power is gone.
        let _ = load.store.runs(TENANT, &filter, page).await;
        tokio::task::yield_now().await;
    }
}

/// Keeps old states of the database in use, so that the log is copied into the file in parts.
async fn hold_snapshots(load: Arc<Load>, done: CancellationToken) -> anyhow::Result<()> {
    const ANSWERS: usize = 20;
    let connection = Connection::open(load.place.file())?;
    while !done.is_cancelled() {
        // Fails, as reading does, once the power is gone.
        let _ = connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;");
        tokio::select! {
            () = load.place.ledger.wait_for(ANSWERS) => {}
            () = done.cancelled() => {}
        }
        let _ = connection.execute_batch("COMMIT");
    }
    Ok(())
}
