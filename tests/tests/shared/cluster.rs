//! A database, a process that takes events in and answers the API, and workers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tombolo_test_postgres::{Database, Durable, Server};
use tombolo_tests::load::Load;
use tombolo_tests::proxy::Proxy;
use tombolo_tests::{Host, HostOptions};

/// How long a lease holds here: the shortest that the configuration takes.
pub const LEASE: Duration = Duration::from_secs(5);

/// By so much more a run may be late whose worker is gone.
const SLACK: Duration = Duration::from_secs(10);

/// What a test starts with.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub workers: usize,
}

/// A cluster at a time: each takes all that the machine has.
static TURN: LazyLock<Arc<Mutex<()>>> = LazyLock::new(Arc::default);

/// Everything of one test.
pub struct Cluster {
    pub server: Server,
    pub database: Database,
    /// Takes events in, and works on none.
    pub front: Host,
    /// Its way to the database.
    pub way: Proxy,
    pub workers: Vec<Worker>,
    pub load: Load,
    _turn: OwnedMutexGuard<()>,
}

/// A worker, and its way to the database.
pub struct Worker {
    pub host: Host,
    pub way: Proxy,
}

impl Cluster {
    pub async fn start(size: Size) -> anyhow::Result<Self> {
        Self::start_with(size, |_, options| options).await
    }

    /// The same with other settings of each worker, by its number.
    pub async fn start_with(
        size: Size,
        settings: impl Fn(usize, HostOptions) -> HostOptions,
    ) -> anyhow::Result<Self> {
        let turn = TURN.clone().lock_owned().await;
        let server = Server::start(Durable::Yes)?;
        let database = Database::on(&server.admin_url()).await?;
        let load = Load::start()?;
        let options = load.allowed(HostOptions::new()).set("engine.lease_seconds", LEASE.as_secs());
        let address = address(&server);
        let through = |way: &Proxy| {
            database.url().replace(&server.port().to_string(), &way.port().to_string())
        };
        let way = Proxy::start(address).await?;
        let front = options.clone().database(&through(&way)).roles("ingress,api,scheduler");
        let front = Host::start(front).await?;
        front.add_plugins().await?;
        load.prepare(&front).await?;
        let mut workers = Vec::with_capacity(size.workers);
        for number in 0..size.workers {
            let way = Proxy::start(address).await?;
            let options = settings(number, options.clone()).database(&through(&way));
            workers.push(Worker { host: Host::start(options.roles("worker")).await?, way });
        }
        Ok(Self { server, database, front, way, workers, load, _turn: turn })
    }

    /// Checks what [`Load::check`] checks, and that no run was late by more than a lease and a bit
    /// after what befell it last. Returns a line of counts.
    pub async fn check(&self, last_fault: Timestamp) -> anyhow::Result<String> {
        let counts = self.load.check(&self.front).await.with_context(|| self.logs())?;
        let allowed = LEASE + SLACK;
        let mut latest = Duration::ZERO;
        for run in self.front.all_runs("").await? {
            let time = |key: &str| -> anyhow::Result<Timestamp> {
                Ok(run[key].as_str().context("a run that has not ended")?.parse()?)
            };
            let due = time("created_at")?.max(last_fault);
            let late = time("ended_at")?.duration_since(due);
            latest = latest.max(late.try_into().unwrap_or_default());
        }
        ensure!(latest <= allowed, "a run ended {latest:?} after it could\n{}", self.logs());
        Ok(format!(
            "{counts}, doubled=0, the last run {:.1} s after the last fault",
            latest.as_secs_f64()
        ))
    }

    fn logs(&self) -> String {
        let workers = self.workers.iter().map(|worker| worker.host.log());
        let logs = std::iter::once(self.front.log()).chain(workers);
        logs.map(|log| end_of(&log).to_owned()).collect::<Vec<_>>().join("\n--\n")
    }
}

/// Where a server listens.
pub fn address(server: &Server) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()))
}

/// The last lines.
fn end_of(log: &str) -> &str {
    const BYTES: usize = 3_000;
    let start = log.len().saturating_sub(BYTES);
    let start = (start..log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(log.len());
    &log[start..]
}
