//! Claims alone: many callers, each of which takes a run at a time until none is due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use jiff::Timestamp as Now;
use tokio::task::JoinSet;
use tombolo_core::clock::Timestamp;
use tombolo_core::ports::store::{Claim, Claimed, RunLog, Wanted, WorkerId};
use tombolo_store::{PostgresSettings, PostgresStore};

use super::figures::Figures;
use super::queued::Queue;
use super::server::TENANT;
use super::settings::Settings;
use super::template::Data;

/// Claims under way at the same time.
const AT_ONCE: [usize; 3] = [1, 16, 64];

/// Claims that one caller makes.
const EACH: u64 = 40;

/// The lease of a claim.
const LEASE: Duration = Duration::from_secs(60);

/// Measures the time of a claim, from asking to having the run.
///
/// # Errors
/// If the database refuses, or a run is claimed twice or not at all.
pub async fn measure(settings: &Settings, data: &Data) -> anyhow::Result<Figures> {
    let database = data.database().context("claims are measured on PostgreSQL")?;
    let store = Arc::new(PostgresStore::open(PostgresSettings::new(database.url())).await?);
    let mut figures = Figures::default();
    let each = if settings.backlog < 100_000 { EACH / 4 } else { EACH };
    for at_once in AT_ONCE {
        let runs = each * at_once as u64;
        Queue::of(&*store, TENANT, "w2").await?.fill(&*store, runs).await?;
        let (took, seconds) = claim_all(&store, at_once, each).await?;
        ensure!(took.len() == runs, "{runs} runs, and {} were claimed", took.len());
        let group = if at_once == 64 { String::new() } else { format!("connections.{at_once}.") };
        let ms = |percentile| took.value_at_percentile(percentile) as f64 / 1e3;
        figures.set(format!("{group}per_second"), runs as f64 / seconds);
        figures.set(format!("{group}p50_ms"), ms(50.0));
        figures.set(format!("{group}p99_ms"), ms(99.0));
    }
    store.close().await;
    Ok(figures)
}

async fn claim_all(
    store: &Arc<PostgresStore>,
    at_once: usize,
    each: u64,
) -> anyhow::Result<(Histogram<u64>, f64)> {
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..at_once {
        let store = store.clone();
        callers.spawn(async move {
            let mut took = Vec::new();
            let worker = WorkerId(format!("caller-{caller}"));
            for _ in 0..each {
                let now = Timestamp(Now::now().as_millisecond());
                let claim = Claim {
                    worker: worker.clone(),
                    limit: 1,
                    now,
                    until: now.plus(LEASE),
                    held: Vec::new(),
                    wanted: Wanted::Due { suspects: 0 },
                    turns: None,
                };
                let asked = Instant::now();
                let claimed = store.claim(claim).await?;
                let micros = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
                took.extend(claimed.iter().map(Claimed::run).map(|run| (run, micros)));
            }
            anyhow::Ok(took)
        });
    }
    let (mut times, mut runs) = (Histogram::new(3)?, std::collections::HashSet::new());
    while let Some(took) = callers.join_next().await {
        for (run, micros) in took?? {
            ensure!(runs.insert(run), "{run} was claimed twice");
            times.record(micros.max(1))?;
        }
    }
    Ok((times, started.elapsed().as_secs_f64()))
}
