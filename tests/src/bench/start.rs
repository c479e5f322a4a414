//! From the start of the process to its first webhook, with all plugins installed, and what memory
//! it then has.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;

use super::connection::Connection;
use super::figures::Figures;
use super::payload::{Payloads, Size};
use super::place::Place;
use super::server::{Server, hook};
use super::settings::Settings;
use super::sinks::Sinks;
use super::template::{Data, Template};
use super::webhooks::Webhook;

/// How long the server may take to its first answer.
const LIMIT: Duration = Duration::from_secs(60);

/// The pause before the idle memory is looked up.
const IDLE: Duration = Duration::from_secs(1);

/// Connections of the load under which the memory is looked up.
const CONNECTIONS: usize = 64;

const MIB: f64 = 1024.0 * 1024.0;

/// Measures one start with compiled components and one without, then the memory under `w2`.
///
/// # Errors
/// If the server does not start or does not answer.
pub async fn measure(
    place: &Place,
    settings: &Settings,
    template: &Template,
    sinks: &Sinks,
) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let data = template.copy().await?.without_compiled()?;
    drop(first(place, settings, &data, sinks, "cold_", &mut figures).await?);
    drop(data);

    let data = template.copy().await?;
    let server = first(place, settings, &data, sinks, "warm_", &mut figures).await?;
    tokio::time::sleep(IDLE).await;
    figures.set("idle_mib", server.usage().resident_bytes as f64 / MIB);
    let mut under_load = Figures::default();
    Webhook::new(&server, settings, "w2", StatusCode::ACCEPTED)
        .calling(&sinks.quick)
        .closed(CONNECTIONS, "", &mut under_load)
        .await?;
    figures.set("loaded_mib", server.usage().peak_bytes as f64 / MIB);
    figures.add("lost", under_load.get("lost").unwrap_or_default() as u64);
    figures.add("errors", under_load.get("errors").unwrap_or_default() as u64);
    figures.complaints = under_load.complaints;
    server.stop()?;
    Ok(figures)
}

/// Starts the server and sends the first webhooks: one that is answered when it is durable, then
/// one whose run needs a plugin.
async fn first(
    place: &Place,
    settings: &Settings,
    data: &Data,
    sinks: &Sinks,
    group: &str,
    figures: &mut Figures,
) -> anyhow::Result<Server> {
    // Ids that no measurement uses: each has payloads of its own.
    let payloads = Payloads::new(Size::Medium);
    let started = Instant::now();
    let server = Server::start(place, settings, data, sinks)?;
    answered(&server, "ack", StatusCode::ACCEPTED, payloads.next().1).await?;
    figures.set(format!("{group}accepted_ms"), ms(started));
    answered(&server, "w1", StatusCode::OK, payloads.next().1).await?;
    figures.set(format!("{group}completed_ms"), ms(started));
    Ok(server)
}

/// Sends until the right answer comes: right after its start a server may still refuse.
async fn answered(
    server: &Server,
    workflow: &str,
    expects: StatusCode,
    body: Bytes,
) -> anyhow::Result<()> {
    let asked = Instant::now();
    loop {
        let request = Request::post(hook(workflow))
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body.clone()))?;
        let mut connection = Connection::open(server.process().address).await?;
        let (status, text) = connection.send(request).await.context("the first webhook")?;
        if status == expects {
            return Ok(());
        }
        if asked.elapsed() > LIMIT {
            bail!("{workflow} is answered {status}: {}", String::from_utf8_lossy(&text));
        }
    }
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
