//! Counts what was completed: waits until no run is open, then reads the list of runs page by page.

use std::time::Duration;

use anyhow::{bail, ensure};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;

use super::api::Api;

/// How long open runs may take to end after the last request.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);

/// The pause between two looks whether they have.
const DRAIN_PAUSE: Duration = Duration::from_millis(25);

/// Most runs in a page.
const PAGE: u32 = 200;

/// The runs of one measurement, as the store has them.
#[derive(Debug, Default)]
pub struct Completed {
    /// All that succeeded.
    pub succeeded: u64,
    /// All that ended in another way, or not at all.
    pub other: u64,
    /// Those that ended after the warm-up, well.
    pub measured: u64,
    /// When the last of them ended, in milliseconds since 1970.
    pub last_ended_ms: i64,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Run>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Run {
    state: String,
    workflow: String,
    created_at: String,
    ended_at: Option<String>,
}

/// Waits until no run of the workflow is open.
///
/// # Errors
/// If one stays open.
pub async fn drained(api: &Api, workflow: &str) -> anyhow::Result<()> {
    let path = format!("/api/v1/runs?workflow={workflow}&state=queued,running,waiting&limit=1");
    let asked = Instant::now();
    loop {
        let page: Page = api.get(&path).await?;
        if page.items.is_empty() {
            return Ok(());
        }
        if asked.elapsed() > DRAIN_LIMIT {
            let limit = DRAIN_LIMIT.as_secs();
            bail!("runs of {workflow} are still open {limit} s after the last request");
        }
        tokio::time::sleep(DRAIN_PAUSE).await;
    }
}

/// Counts the runs that were created since `started`; `measured_from` is the end of the warm-up.
///
/// # Errors
/// If the list cannot be read, or holds runs of another workflow.
pub async fn count(
    api: &Api,
    workflow: &str,
    started: Timestamp,
    measured_from: Timestamp,
) -> anyhow::Result<Completed> {
    let mut counted = Completed::default();
    let mut cursor = None::<String>;
    loop {
        let after = cursor.map(|cursor| format!("&cursor={cursor}"));
        let after = after.unwrap_or_default();
        // Without a filter: the list runs along the key, and we stop where the measurement began.
        let page: Page = api.get(&format!("/api/v1/runs?limit={PAGE}{after}")).await?;
        for run in page.items {
            if run.created_at.parse::<Timestamp>()? < started {
                return Ok(counted);
            }
            let other = &run.workflow;
            ensure!(other == workflow, "a run of {other} among those of {workflow}");
            counted.add(&run, measured_from)?;
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(counted),
        }
    }
}

impl Completed {
    fn add(&mut self, run: &Run, measured_from: Timestamp) -> anyhow::Result<()> {
        let (true, Some(ended)) = (run.state == "succeeded", &run.ended_at) else {
            self.other += 1;
            return Ok(());
        };
        let ended: Timestamp = ended.parse()?;
        self.succeeded += 1;
        if ended >= measured_from {
            self.measured += 1;
            self.last_ended_ms = self.last_ended_ms.max(ended.as_millisecond());
        }
        Ok(())
    }

    /// Runs completed a second, from the end of the warm-up to the last run's end.
    pub fn per_second(&self, measured_from: Timestamp) -> f64 {
        let ms = self.last_ended_ms - measured_from.as_millisecond();
        self.measured as f64 * 1e3 / (ms.max(1) as f64)
    }
}
