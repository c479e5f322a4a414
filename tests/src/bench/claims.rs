//! Claims alone: callers that take runs until none is due.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use jiff::Timestamp as Now;
use tokio::task::JoinSet;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Claim, Claimed, RunLog, Wanted, WorkerId};
use tombolo_store::{PostgresSettings, PostgresStore};

use super::figures::Figures;
use super::queued::Queue;
use super::server::TENANT;
use super::settings::Settings;
use super::template::Data;

/// Callers at the same time, each with a connection of its own, as a process has.
const CALLERS: usize = 64;

/// The lease of a claim.
const LEASE: Duration = Duration::from_secs(60);

/// How callers claim.
#[derive(Debug, Clone, Copy)]
struct Pattern {
    /// In the report.
    group: &'static str,
    callers: usize,
    /// Claims of each caller, and runs of each claim.
    claims: u64,
    runs: usize,
    /// The longest pause between two claims of a caller; each is a random part of it.
    pause: Duration,
}

/// Workers that take a few runs, work on them and come again; and callers that do nothing but claim.
const PATTERNS: [Pattern; 4] = [
    Pattern { group: "", callers: CALLERS, claims: 40, runs: 4, pause: Duration::from_millis(400) },
    Pattern { group: "of_64_runs.", callers: 1, claims: 40, runs: 64, pause: Duration::ZERO },
    Pattern { group: "no_pause.1.", callers: 1, claims: 400, runs: 1, pause: Duration::ZERO },
    Pattern { group: "no_pause.64.", callers: CALLERS, claims: 40, runs: 1, pause: Duration::ZERO },
];

/// Measures the time of a claim, from asking to having the runs with all that is known of them.
///
/// # Errors
/// If the database refuses, or a run is claimed twice or not at all.
pub async fn measure(settings: &Settings, data: &Data) -> anyhow::Result<Figures> {
    let database = data.database().context("claims are measured on PostgreSQL")?;
    let connections = CALLERS as u32 + 2;
    let settings_of_store =
        PostgresSettings { connections, ..PostgresSettings::new(database.url()) };
    let quick = settings.backlog < 100_000;
    // With as many threads as the machine has cores: it is the database that is measured.
    let measured = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(measure_all(settings_of_store, quick))
    });
    measured.await?
}

async fn measure_all(settings: PostgresSettings, quick: bool) -> anyhow::Result<Figures> {
    let store = Arc::new(PostgresStore::open(settings).await?);
    let mut figures = Figures::default();
    for pattern in PATTERNS {
        let claims = if quick { pattern.claims / 8 } else { pattern.claims };
        let pattern = Pattern { claims, ..pattern };
        let claims = claims * pattern.callers as u64;
        let runs = claims * pattern.runs as u64;
        Queue::of(&*store, TENANT, "w2").await?.fill(&*store, runs).await?;
        let (took, claimed, seconds) = claim_all(&store, pattern).await?;
        ensure!(claimed == runs, "{runs} runs, and {claimed} were claimed");
        let group = pattern.group;
        let ms = |percentile| took.value_at_percentile(percentile) as f64 / 1e3;
        figures.set(format!("{group}per_second"), claims as f64 / seconds);
        figures.set(format!("{group}p50_ms"), ms(50.0));
        figures.set(format!("{group}p99_ms"), ms(99.0));
    }
    store.close().await;
    Ok(figures)
}

/// The times of the claims, in microseconds; how many runs they brought; and the seconds of it all.
async fn claim_all(
    store: &Arc<PostgresStore>,
    pattern: Pattern,
) -> anyhow::Result<(Histogram<u64>, u64, f64)> {
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..pattern.callers {
        callers.spawn(claim_on(store.clone(), WorkerId(format!("caller-{caller}")), pattern));
    }
    let (mut times, mut runs) = (Histogram::new(3)?, HashSet::new());
    while let Some(took) = callers.join_next().await {
        for (claimed, micros) in took?? {
            for run in claimed {
                ensure!(runs.insert(run), "{run} was claimed twice");
            }
            times.record(micros.max(1))?;
        }
    }
    Ok((times, runs.len() as u64, started.elapsed().as_secs_f64()))
}

async fn claim_on(
    store: Arc<PostgresStore>,
    worker: WorkerId,
    pattern: Pattern,
) -> anyhow::Result<Vec<(Vec<RunId>, u64)>> {
    let mut took = Vec::new();
    for _ in 0..pattern.claims {
        tokio::time::sleep(pattern.pause.mul_f64(rand::random())).await;
        let now = Timestamp(Now::now().as_millisecond());
        let claim = Claim {
            worker: worker.clone(),
            limit: pattern.runs,
            now,
            until: now.plus(LEASE),
            held: Vec::new(),
            wanted: Wanted::Due { suspects: 0 },
            turns: None,
        };
        let asked = Instant::now();
        let claimed = store.claim(claim).await?;
        let micros = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
        took.push((claimed.iter().map(Claimed::run).collect(), micros));
    }
    Ok(took)
}
