//! The real binary `tombolo` as a test sees it: a process on a free port, with a data folder of its
//! own that goes away with the handle, unless the options name one.
//!
//! Speaks to it as anybody would: HTTP, signals, the command line. Never links the host.

mod answer;
mod api;
mod binary;
mod command_line;
mod options;
mod poll;
mod process;
mod raw;
mod run;
mod template;
mod webhook;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

pub use answer::Answer;
pub use binary::{guest, plugin};
pub use command_line::Said;
pub use options::HostOptions;
use options::Start;
pub use poll::{POLL_LIMIT, poll};
pub use run::{RunView, StepView};

use crate::http_client;
use process::Process;

/// Hosts at a time in one test process; a test waits for its turn.
const MAX_HOSTS: usize = 8;

/// The tenant that every host has.
pub const TENANT: &str = "default";

static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MAX_HOSTS)));

/// A host that is running, or was killed and can run again.
pub struct Host {
    options: HostOptions,
    folder: TempDir,
    http: reqwest::Client,
    /// None while it is dead.
    process: Mutex<Option<Process>>,
    /// `http://127.0.0.1:<port>`; the same after a restart.
    origin: String,
    token: String,
    _place: OwnedSemaphorePermit,
}

impl Host {
    /// Starts the binary and returns when it answers. Its data folder has all plugins of the house,
    /// unless the options say otherwise.
    ///
    /// # Errors
    /// If it does not start, with its log.
    pub async fn start(options: HostOptions) -> anyhow::Result<Self> {
        let place = PLACES.clone().acquire_owned().await?;
        let folder = tempfile::tempdir().context("a temporary folder is needed")?;
        let data = options.data_in(folder.path());
        match options.start() {
            Start::Plugins => template::copy_to(&data).await?,
            Start::Compiled => template::copy_compiled_to(&data).await?,
            Start::Nothing => {}
        }
        Self::start_in(folder, options, place).await
    }

    async fn start_in(
        folder: TempDir,
        options: HostOptions,
        place: OwnedSemaphorePermit,
    ) -> anyhow::Result<Self> {
        let process = Process::start(folder.path(), &options, "127.0.0.1:0").await?;
        let origin = process.origin().to_owned();
        let mut host = Self {
            options,
            folder,
            http: http_client(),
            process: Mutex::new(Some(process)),
            origin,
            token: String::new(),
            _place: place,
        };
        host.token = std::fs::read_to_string(host.data().join("admin.token"))
            .context("the first start left no admin.token")?;
        host.ready().await?;
        Ok(host)
    }

    /// `http://127.0.0.1:<port>`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.options.data_in(self.folder.path())
    }

    /// A folder of the test's own, beside the data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Everything that the process has logged, over all starts.
    pub fn log(&self) -> String {
        process::log_of(self.folder.path())
    }

    /// The bearer token of the first start, with every scope.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Ends the process at once, as a power cut would: SIGKILL, no warning.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.taken().await?.kill().await
    }

    /// Stops the process in the middle of whatever it does, as a machine that freezes: SIGSTOP.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn freeze(&self) -> anyhow::Result<()> {
        self.process.lock().await.as_ref().context("tombolo does not run")?.freeze()
    }

    /// Lets it go on: SIGCONT.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn thaw(&self) -> anyhow::Result<()> {
        self.process.lock().await.as_ref().context("tombolo does not run")?.thaw()
    }

    /// Adds all plugins of the house.
    ///
    /// # Errors
    /// If one is not built, or refused.
    pub async fn add_plugins(&self) -> anyhow::Result<()> {
        for name in binary::PLUGINS {
            self.add_plugin(&plugin(name)?).await?;
        }
        Ok(())
    }

    /// Asks the process to end, waits, and checks that it left in peace.
    ///
    /// # Errors
    /// If it does not end in time, or with another code than 0.
    pub async fn stop(&self) -> anyhow::Result<()> {
        let status = self.taken().await?.stop().await?;
        if !status.success() {
            bail!("after SIGTERM tombolo ended with {status}\n{}", self.log());
        }
        Ok(())
    }

    /// Starts the process again, on the same data and port; ends it first if it runs.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn restart(&self) -> anyhow::Result<()> {
        let mut process = self.process.lock().await;
        if let Some(running) = process.take() {
            running.kill().await?;
        }
        let address = self.origin.trim_start_matches("http://");
        *process = Some(Process::start(self.folder.path(), &self.options, address).await?);
        drop(process);
        self.ready().await
    }

    /// The most memory that the process has had in RAM so far, in bytes.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn peak_bytes(&self) -> anyhow::Result<u64> {
        self.process.lock().await.as_ref().context("tombolo does not run")?.peak_bytes()
    }

    async fn taken(&self) -> anyhow::Result<Process> {
        self.process.lock().await.take().context("tombolo does not run")
    }

    async fn ready(&self) -> anyhow::Result<()> {
        poll("/readyz to say 200", async || {
            let answer = self.answer(self.anonymous("GET", "/readyz")).await?;
            Ok((answer.status == 200).then_some(()))
        })
        .await
        .with_context(|| self.log())
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Now, in milliseconds since 1970: what senders sign.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
