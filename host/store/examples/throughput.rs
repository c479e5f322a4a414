//! How many runs a second the store takes: accept with a lease, then settle with three steps, at
//! several numbers of callers, beside a bare loop that flushes a file as often.
//!
//! `cargo run --release -p tombolo-store --example throughput [seconds]`

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, EventId, RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Accept, Access, Catalog, Lease, NewEvent, NewRun, NewVersion, Next, RunLog, Settle, StepRow,
    Tenant, WorkerId,
};
use tombolo_core::run::{RunState, StepState};
use tombolo_store::{SqliteSettings, SqliteStore};
use uuid::Uuid;

const CALLERS: [usize; 4] = [1, 16, 64, 256];
const STEPS: usize = 3;

struct Bench {
    store: SqliteStore,
    tenant: TenantId,
    workflow: WorkflowId,
    worker: WorkerId,
    ids: AtomicU64,
    stop: AtomicBool,
}

#[derive(Default)]
struct Counts {
    pairs: u64,
    accept: Duration,
    settle: Duration,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(2.0), |text| text.parse())?;
    let folder = tempfile::tempdir_in(".")?;
    println!("bare flushes: {:.0}/s", flushes(folder.path())?);
    let store =
        SqliteStore::open(&folder.path().join("bench.db"), SqliteSettings::default()).await?;
    let tenant = TenantId(Uuid::from_u128(1));
    let workflow = WorkflowId(Uuid::from_u128(2));
    store.ensure_tenant(Tenant { id: tenant, name: "acme".into() }, Timestamp(0)).await?;
    let version = NewVersion {
        tenant,
        id: workflow,
        name: "deals".into(),
        definition: Json::null(),
        pins: BTreeMap::new(),
        now: Timestamp(0),
        audit: None,
    };
    store.apply_workflow(version).await?;
    let bench = Arc::new(Bench {
        store,
        tenant,
        workflow,
        worker: WorkerId("host-4711-0198c2f0".into()),
        ids: AtomicU64::new(1),
        stop: AtomicBool::new(false),
    });
    println!("callers   pairs/s   accept ms   settle ms   cpu us/pair");
    for callers in CALLERS {
        measure(&bench, callers, Duration::from_secs_f64(seconds)).await?;
    }
    bench.store.close().await;
    let bytes = std::fs::metadata(folder.path().join("bench.db"))?.len();
    let runs = bench.ids.load(Ordering::Relaxed);
    println!("{runs} runs, {} bytes of file per run", bytes / runs.max(1));
    Ok(())
}

async fn measure(
    bench: &Arc<Bench>,
    callers: usize,
    time: Duration,
) -> Result<(), Box<dyn std::error::Error>> {
    bench.stop.store(false, Ordering::Relaxed);
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut callers_at_work = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let bench = bench.clone();
        callers_at_work.spawn(async move { bench.call().await });
    }
    tokio::time::sleep(time).await;
    bench.stop.store(true, Ordering::Relaxed);
    let mut all = Counts::default();
    while let Some(counts) = callers_at_work.join_next().await {
        let counts = counts?;
        all.pairs += counts.pairs;
        all.accept += counts.accept;
        all.settle += counts.settle;
    }
    let mean = |sum: Duration| sum.as_secs_f64() * 1000.0 / all.pairs.max(1) as f64;
    let cpu = cpu_time().saturating_sub(cpu);
    println!(
        "{callers:7} {:9.0} {:11.2} {:11.2} {:13.0}",
        all.pairs as f64 / start.elapsed().as_secs_f64(),
        mean(all.accept),
        mean(all.settle),
        mean(cpu) * 1000.0,
    );
    Ok(())
}

impl Bench {
    async fn call(&self) -> Counts {
        let mut counts = Counts::default();
        while !self.stop.load(Ordering::Relaxed) {
            let n = self.ids.fetch_add(1, Ordering::Relaxed);
            // The clock's part of a UUIDv7 in front, so that ids grow as real ones do.
            let id = Uuid::from_u128(
                (u128::from(n / 8) << 80) | u128::from(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            );
            let start = Instant::now();
            if let Err(error) = self.store.accept(vec![self.event(n, id)]).await {
                println!("accept: {error}");
                return counts;
            }
            counts.accept += start.elapsed();
            let start = Instant::now();
            if let Err(error) = self.store.settle(self.results(id)).await {
                println!("settle: {error}");
                return counts;
            }
            counts.settle += start.elapsed();
            counts.pairs += 1;
        }
        counts
    }

    fn event(&self, n: u64, id: Uuid) -> Accept {
        let payload = json!({
            "trigger": { "objectId": n, "propertyName": "dealstage", "propertyValue": "closedwon" },
            "event": { "headers": { "content-type": "application/json" }, "note": "x".repeat(150) },
        });
        Accept {
            event: NewEvent {
                id: EventId(id),
                tenant: self.tenant,
                source: "hook:hubspot/deals".into(),
                dedupe_key: n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_string(),
                fingerprint: None,
                payload: Json::from_value(payload),
                correlation_id: EventId(id).to_string(),
                received_at: Timestamp(1_700_000_000_000),
            },
            runs: vec![NewRun {
                id: RunId(id),
                workflow: self.workflow,
                version: 1,
                trigger: "deal_changed".into(),
                deadline: Some(Timestamp(1_700_003_600_000)),
                lease: Some((self.worker.clone(), Timestamp(1_700_000_030_000))),
                parent: None,
                depth: 0,
                replay_of: None,
                steps: Vec::new(),
                ended: None,
                flow: Default::default(),
            }],
            audit: None,
        }
    }

    fn results(&self, id: Uuid) -> Settle {
        let steps = (0..STEPS).map(|n| StepRow {
            state: StepState::Succeeded,
            attempt: 1,
            spent: 1,
            input: Some(Json::from_value(json!({ "id": n, "text": "y".repeat(100) }))),
            output: Some(Json::from_value(json!({ "id": n, "text": "z".repeat(200) }))),
            started_at: Some(Timestamp(1_700_000_000_001)),
            ended_at: Some(Timestamp(1_700_000_000_002)),
            plugin: Some(ContentHash([7; 32])),
            ..StepRow::pending(&format!("node-{n}"), 0)
        });
        let lease = Lease { run: RunId(id), owner: self.worker.clone(), epoch: 1 };
        let next = Next::End { state: RunState::Succeeded, output: None, error: None };
        let now = Timestamp(1_700_000_000_003);
        Settle { steps: steps.collect(), ..Settle::new(self.tenant, lease, next, now) }
    }
}

/// Processor time of this process, user and system; zero where there is no `/proc`. Says more than
/// the clock on a machine that does other things beside.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15 of proc(5), in ticks of 10 ms; the name in field 2 may hold blanks.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// What the disk can do: 16 KiB appended and flushed, over and over.
fn flushes(folder: &std::path::Path) -> std::io::Result<f64> {
    let mut file = std::fs::File::create(folder.join("flushes"))?;
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < Duration::from_secs(1) {
        file.write_all(&[0; 16 * 1024])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}
