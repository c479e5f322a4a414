//! A tenant that has queued more than anybody can do soon, and another one's runs beside it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use jiff::Timestamp;
use serde_json::Value;
use tombolo_store::{PostgresSettings, PostgresStore, SqliteSettings, SqliteStore};

use super::api::Api;
use super::connection::Connection;
use super::figures::Figures;
use super::payload::{Payloads, Size};
use super::place::Place;
use super::queued::Queue;
use super::server::{Server, TENANT, command, hook_of};
use super::settings::Settings;
use super::sinks::Sinks;
use super::template::{self, Data};

/// The tenant that has little to do.
const SECOND: &str = "second";

/// Runs of its that are measured.
const RUNS: u64 = 100;

/// The pause between two of them.
const PAUSE: Duration = Duration::from_millis(50);

/// How long they may take to come.
const LIMIT: Duration = Duration::from_secs(120);

/// A backlog of fewer runs may be done before the second tenant's first one.
const TOO_FEW: u64 = 100_000;

/// Measures the second tenant's runs, from the webhook to the call of the sink, while the backlog of the
/// first one is worked on. On PostgreSQL by another process than takes the webhook: each run goes
/// through the queue. On SQLite a run that finds a slot is begun at once.
///
/// # Errors
/// If something does not start or is answered wrong.
pub async fn measure(
    place: &Place,
    settings: &Settings,
    data: &Data,
    sinks: &Sinks,
) -> anyhow::Result<Figures> {
    let token = second_tenant(place, data)?;
    let server = Server::start(place, settings, data, sinks)?;
    template::prepare(place, &Api::new(server.process().address, &token), sinks).await?;
    server.stop()?;
    let mut figures = Figures::default();
    let filled = Instant::now();
    fill(data, settings.backlog).await?;
    figures.set("backlog", settings.backlog as f64);
    figures.set("queued_per_second", settings.backlog as f64 / filled.elapsed().as_secs_f64());
    let start = |roles| Server::start_as(place, settings, data, sinks, roles);
    let (front, worker) = match data.database() {
        Some(_) => (start("ingress,api,scheduler")?, Some(start("worker")?)),
        None => (Server::start(place, settings, data, sinks)?, None),
    };
    sinks.quick.reset();
    let mut sent = BTreeMap::new();
    let payloads = Payloads::new(Size::Small);
    for _ in 0..RUNS {
        let (id, body) = payloads.next();
        sent.insert(id, Timestamp::now().as_microsecond());
        send(&front, body).await?;
        tokio::time::sleep(PAUSE).await;
    }
    let of_second = arrived(sinks, &sent).await?;
    let others = sinks.quick.counts().calls - RUNS;
    worker.map_or(Ok(()), Server::stop)?;
    front.stop()?;
    ensure!(settings.backlog < TOO_FEW || others > 0, "nobody worked on the backlog meanwhile");
    let ms = |percentile| of_second.value_at_percentile(percentile) as f64 / 1e3;
    figures.set("to_sink_p50_ms", ms(50.0));
    figures.set("to_sink_p99_ms", ms(99.0));
    figures.set("to_sink_first_ms", first(sinks, &sent)? as f64 / 1e3);
    figures.set("to_sink_longest_ms", of_second.max() as f64 / 1e3);
    figures.set("of_backlog_meanwhile", others as f64);
    Ok(figures)
}

/// Makes the tenant and a token for it.
fn second_tenant(place: &Place, data: &Data) -> anyhow::Result<String> {
    run(place, data, &["tenant", "create", SECOND])?;
    let made = run(
        place,
        data,
        &["--json", "token", "create", "--tenant", SECOND, "--name", "bench", "--role", "admin"],
    )?;
    let made: Value = serde_json::from_str(&made)?;
    Ok(made["token"].as_str().context("no token")?.to_owned())
}

fn run(place: &Place, data: &Data, arguments: &[&str]) -> anyhow::Result<String> {
    let done = command(place, data).args(arguments).output()?;
    let error = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "`tombolo {}`: {error}", arguments.join(" "));
    Ok(String::from_utf8(done.stdout)?)
}

/// Queues the backlog of the first tenant.
async fn fill(data: &Data, runs: u64) -> anyhow::Result<()> {
    if let Some(database) = data.database() {
        let store = PostgresStore::open(PostgresSettings::new(database.url())).await?;
        Queue::of(&store, TENANT, "w2-keyed").await?.fill(&store, runs).await?;
        store.close().await;
    } else {
        let file = data.path().join("tombolo.db");
        let store = SqliteStore::open(&file, SqliteSettings::default()).await?;
        Queue::of(&store, TENANT, "w2-keyed").await?.fill(&store, runs).await?;
        store.close().await;
    }
    Ok(())
}

async fn send(front: &Server, body: Bytes) -> anyhow::Result<()> {
    let request = Request::post(hook_of(SECOND, "w2"))
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    let mut connection = Connection::open(front.process().address).await?;
    let (status, text) = connection.send(request).await?;
    let text = String::from_utf8_lossy(&text);
    ensure!(status == StatusCode::ACCEPTED, "a webhook is answered {status}: {text}");
    Ok(())
}

/// From the request to the sink, of each run of the second tenant.
async fn arrived(sinks: &Sinks, sent: &BTreeMap<u64, i64>) -> anyhow::Result<Histogram<u64>> {
    let asked = Instant::now();
    loop {
        let times = times(sinks, sent);
        if times.len() == sent.len() {
            let mut histogram = Histogram::new(3)?;
            times.values().try_for_each(|micros| histogram.record(*micros))?;
            return Ok(histogram);
        }
        let limit = LIMIT.as_secs();
        ensure!(asked.elapsed() < LIMIT, "{} of {} after {limit} s", times.len(), sent.len());
        tokio::time::sleep(PAUSE).await;
    }
}

/// What the first run took.
fn first(sinks: &Sinks, sent: &BTreeMap<u64, i64>) -> anyhow::Result<u64> {
    let times = times(sinks, sent);
    Ok(*times.first_key_value().context("no run arrived")?.1)
}

/// Microseconds from the request to the sink, by id.
fn times(sinks: &Sinks, sent: &BTreeMap<u64, i64>) -> BTreeMap<u64, u64> {
    let arrivals = sinks.quick.arrivals().into_iter();
    let times = arrivals.filter_map(|arrival| {
        let id = arrival.id.parse().ok()?;
        let micros = u64::try_from(arrival.at_unix_us - sent.get(&id)?).unwrap_or_default();
        Some((id, micros.max(1)))
    });
    times.collect()
}
