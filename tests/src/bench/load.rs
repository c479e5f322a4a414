//! The load: so many connections that send webhooks, each when the one before was answered (closed
//! loop), or all together at a fixed rate (open loop). All on the caller's thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use tokio::task::JoinSet;

use super::connection::Connection;
use super::pacer::Pacer;
use super::payload::Payloads;

/// The longest latency that is told apart, in microseconds.
const MAX_LATENCY_US: u64 = 120_000_000;

/// Failures after which a connection sends nothing more.
const MAX_FAILURES: u64 = 10;

/// Where to send, and what answer is right.
#[derive(Debug, Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub path: String,
    pub expects: StatusCode,
}

/// How much, how fast and how long.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub connections: usize,
    pub pace: Pace,
    /// Requests in this time are sent and not measured.
    pub warm_up: Duration,
    pub duration: Duration,
}

/// When a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// When the one before on the same connection was answered. Latency counts from the sending.
    Closed,
    /// So many a second, whatever the server does. Latency counts from when it was due.
    PerSecond(u32),
}

/// What the client saw.
#[derive(Debug)]
pub struct Load {
    /// In microseconds, of the requests after the warm-up.
    pub latency: Histogram<u64>,
    /// Right answers, of all requests.
    pub answered: u64,
    /// Right answers to requests after the warm-up.
    pub measured: u64,
    /// Wrong answers and broken connections.
    pub failed: u64,
    /// What the first of them was.
    pub first_failure: Option<String>,
    /// When each request was due, by its id; only at a fixed rate.
    pub due: Vec<(u64, Instant)>,
    /// The warm-up's end.
    pub measured_from: Instant,
    /// The last answer.
    pub ended: Instant,
}

impl Load {
    fn new(measured_from: Instant) -> Self {
        let latency = Histogram::new_with_bounds(1, MAX_LATENCY_US, 3);
        Self {
            latency: latency.expect("the bounds are constant and valid"),
            answered: 0,
            measured: 0,
            failed: 0,
            first_failure: None,
            due: Vec::new(),
            measured_from,
            ended: measured_from,
        }
    }

    fn add(&mut self, other: Self) {
        self.latency += &other.latency;
        self.answered += other.answered;
        self.measured += other.measured;
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
        self.due.extend(other.due);
        self.ended = self.ended.max(other.ended);
    }

    fn fail(&mut self, what: String) {
        self.failed += 1;
        self.first_failure.get_or_insert(what);
    }

    /// A percentile of the latency in milliseconds.
    pub fn ms(&self, percentile: f64) -> f64 {
        self.latency.value_at_percentile(percentile) as f64 / 1e3
    }

    /// Right answers a second.
    pub fn per_second(&self) -> f64 {
        let seconds = (self.ended - self.measured_from).as_secs_f64();
        self.measured as f64 / seconds.max(1e-9)
    }
}

/// Sends the load and waits for the last answer.
///
/// # Errors
/// If a connection cannot be opened; what goes wrong later is counted.
pub async fn send(target: &Target, payloads: &Arc<Payloads>, plan: Plan) -> anyhow::Result<Load> {
    let mut open = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        open.push(Connection::open(target.address).await?);
    }
    let start = Instant::now();
    let measured_from = start + plan.warm_up;
    let end = measured_from + plan.duration;
    let pacer = match plan.pace {
        Pace::Closed => None,
        Pace::PerSecond(rate) => Some(Pacer::start(rate, plan.warm_up + plan.duration)?),
    };
    let mut senders = JoinSet::new();
    for connection in open {
        let sender = Sender {
            connection,
            target: target.clone(),
            payloads: Arc::clone(payloads),
            seen: Load::new(measured_from),
        };
        let pacer = pacer.clone();
        senders.spawn(async move {
            match pacer {
                None => sender.one_by_one(end).await,
                Some(pacer) => sender.when_due(&pacer).await,
            }
        });
    }
    let mut load = Load::new(measured_from);
    while let Some(seen) = senders.join_next().await {
        load.add(seen?);
    }
    Ok(load)
}

/// One connection's part of the load.
struct Sender {
    connection: Connection,
    target: Target,
    payloads: Arc<Payloads>,
    seen: Load,
}

impl Sender {
    async fn one_by_one(mut self, end: Instant) -> Load {
        loop {
            let now = Instant::now();
            if now >= end || self.seen.failed >= MAX_FAILURES {
                return self.seen;
            }
            let (_, body) = self.payloads.next();
            self.exchange(now, body).await;
        }
    }

    async fn when_due(mut self, pacer: &Pacer) -> Load {
        while let Some(due) = pacer.next().await {
            let (id, body) = self.payloads.next();
            self.seen.due.push((id, due));
            self.exchange(due, body).await;
            if self.seen.failed >= MAX_FAILURES {
                break;
            }
        }
        self.seen
    }

    /// One request, whose latency counts from `since`.
    async fn exchange(&mut self, since: Instant, body: Bytes) {
        let request = Request::post(self.target.path.as_str())
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body));
        let answer = match request {
            Ok(request) => self.connection.send(request).await,
            Err(error) => return self.seen.fail(error.to_string()),
        };
        let now = Instant::now();
        match answer {
            Ok((status, _)) if status == self.target.expects => {
                self.seen.answered += 1;
                self.seen.ended = now;
                if since >= self.seen.measured_from {
                    self.seen.measured += 1;
                    let micros = (now - since).as_micros();
                    let micros = u64::try_from(micros).unwrap_or(MAX_LATENCY_US);
                    self.seen.latency.saturating_record(micros.max(1));
                }
            }
            Ok((status, body)) => {
                let text: String = String::from_utf8_lossy(&body).chars().take(300).collect();
                self.seen.fail(format!("{status}: {text}"));
            }
            Err(error) => {
                self.seen.fail(error.to_string());
                match Connection::open(self.target.address).await {
                    Ok(connection) => self.connection = connection,
                    Err(error) => {
                        self.seen.fail(error.to_string());
                        self.seen.failed += MAX_FAILURES;
                    }
                }
            }
        }
    }
}
