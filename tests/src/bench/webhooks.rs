//! The shapes that are webhooks: `ack`, `w1`, `w2`, `w4`. Each measurement sends its load, waits
//! until every run has ended, and counts them in the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};

use super::completed;
use super::figures::Figures;
use super::load::{self, Load, Pace, Plan, Target};
use super::payload::{FIRST_ID, Payloads, Size};
use super::server::{Server, hook};
use super::settings::Settings;
use crate::sink::Sink;

/// How long the sink waits for the last call of a measurement.
const SINK_LIMIT: Duration = Duration::from_secs(120);

/// Connections of the open loop: enough that none waits for another at the rates that we offer.
const OPEN_CONNECTIONS: usize = 128;

/// One workflow on a running server, with payloads that never repeat.
pub struct Webhook<'a> {
    pub server: &'a Server,
    pub settings: &'a Settings,
    pub workflow: &'static str,
    pub expects: StatusCode,
    pub payloads: Arc<Payloads>,
    /// Counts the calls, if the workflow makes some.
    pub sink: Option<&'a Sink>,
    /// Calls of one run.
    pub calls_each: u64,
}

impl<'a> Webhook<'a> {
    /// A workflow that answers like this.
    pub fn new(
        server: &'a Server,
        settings: &'a Settings,
        workflow: &'static str,
        expects: StatusCode,
    ) -> Self {
        Self {
            server,
            settings,
            workflow,
            expects,
            payloads: Arc::new(Payloads::new(Size::Small)),
            sink: None,
            calls_each: 1,
        }
    }

    /// The same with payloads of another size.
    #[must_use]
    pub fn carrying(mut self, size: Size) -> Self {
        self.payloads = Arc::new(Payloads::new(size));
        self
    }

    /// The same with a sink.
    #[must_use]
    pub fn calling(mut self, sink: &'a Sink) -> Self {
        self.sink = Some(sink);
        self
    }

    /// The same with so many calls of each run.
    #[must_use]
    pub fn calling_often(self, sink: &'a Sink, calls_each: u64) -> Self {
        Self { calls_each, ..self.calling(sink) }
    }

    /// Closed loop over so many connections. The figures' names start with `group`.
    ///
    /// # Errors
    /// If the server is not there, or runs do not end.
    pub async fn closed(
        &self,
        connections: usize,
        group: &str,
        figures: &mut Figures,
    ) -> anyhow::Result<Load> {
        self.measure(connections, Pace::Closed, group, figures).await
    }

    /// Open loop at so many a second.
    ///
    /// # Errors
    /// As above.
    pub async fn offered(
        &self,
        per_second: u32,
        group: &str,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let load =
            self.measure(OPEN_CONNECTIONS, Pace::PerSecond(per_second), group, figures).await?;
        if let Some(sink) = self.sink {
            let to_sink = to_sink(&load, sink);
            let ms = |percentile| to_sink.value_at_percentile(percentile) as f64 / 1e3;
            figures.set(format!("{group}to_sink_p50_ms"), ms(50.0));
            figures.set(format!("{group}to_sink_p99_ms"), ms(99.0));
        }
        Ok(())
    }

    async fn measure(
        &self,
        connections: usize,
        pace: Pace,
        group: &str,
        figures: &mut Figures,
    ) -> anyhow::Result<Load> {
        let api = self.server.api()?;
        let target = Target {
            address: self.server.process().address,
            path: hook(self.workflow),
            expects: self.expects,
        };
        let plan = Plan {
            connections,
            pace,
            warm_up: self.settings.warm_up,
            duration: self.settings.duration,
        };
        if let Some(sink) = self.sink {
            sink.reset();
        }
        let (before, started) = (self.server.usage(), start());
        let load = load::send(&target, &self.payloads, plan).await?;
        if let Some(sink) = self.sink {
            sink.wait_for(load.answered * self.calls_each, SINK_LIMIT).await?;
        }
        completed::drained(&api, self.workflow).await?;
        let after = self.server.usage();

        let measured_from = at(load.measured_from);
        let counted = completed::count(&api, self.workflow, started, measured_from);
        let counted = counted.await.context("counting the runs")?;
        figures.set(format!("{group}per_second"), counted.per_second(measured_from));
        figures.set(format!("{group}acknowledged_per_second"), load.per_second());
        figures.latency(group, &load);
        figures.usage(group, after, before, load.answered);
        figures.failures(&load);
        let lost = load.answered.saturating_sub(counted.succeeded);
        figures.add("lost", lost);
        if lost > 0 || counted.other > 0 {
            figures.complaints.push(format!(
                "of {} runs of {} {} succeeded and {} ended otherwise",
                load.answered, self.workflow, counted.succeeded, counted.other
            ));
        }
        if let Some(sink) = self.sink {
            let counts = sink.counts();
            figures.add("duplicates", counts.repeated_ids);
            figures
                .add("lost", (load.answered * self.calls_each).saturating_sub(counts.distinct_ids));
        }
        Ok(load)
    }
}

/// Now, in whole milliseconds as the store has them.
fn start() -> Timestamp {
    let ms = Timestamp::now().as_millisecond();
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

/// The wall clock's time of a moment that is over.
fn at(moment: Instant) -> Timestamp {
    let ago = SignedDuration::try_from(moment.elapsed()).unwrap_or_default();
    Timestamp::now().saturating_sub(ago).unwrap_or_default()
}

/// From when a request was due to its call at the sink, in microseconds.
fn to_sink(load: &Load, sink: &Sink) -> Histogram<u64> {
    let mut due = vec![None; load.due.len()];
    let first = load.due.iter().map(|(id, _)| *id).min().unwrap_or(FIRST_ID);
    for (id, moment) in &load.due {
        let place = usize::try_from(id - first).ok();
        if let Some(place) = place.and_then(|place| due.get_mut(place))
            && *moment >= load.measured_from
        {
            *place = Some(at(*moment).as_microsecond());
        }
    }
    let mut latency = load.latency.clone();
    latency.reset();
    for arrival in sink.arrivals() {
        let id = arrival.id.parse::<u64>().ok();
        let place = id.and_then(|id| usize::try_from(id.checked_sub(first)?).ok());
        if let Some(Some(due)) = place.and_then(|place| due.get(place)) {
            let micros = u64::try_from(arrival.at_unix_us - due).unwrap_or(0);
            latency.saturating_record(micros.max(1));
        }
    }
    latency
}
