//! One process of the binary: started, heard, ended.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::{HostOptions, binary};

/// How long a start may take: on a busy machine it compiles the evaluator first.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long a stop may take; the drain time is 10 s.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Where standard error goes, in the host's folder.
const LOG: &str = "tombolo.log";

/// How much of the log an error shows, in lines.
const LOG_LINES: usize = 40;

/// A process that ends with this value.
pub(super) struct Process {
    child: Child,
    origin: String,
    /// Kept open: a server that cannot write to its standard output is another server.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts `tombolo serve` in this folder and waits for the line that says where it listens.
    pub async fn start(folder: &Path, options: &HostOptions, listen: &str) -> anyhow::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(folder.join(LOG))?;
        let mut command = Command::new(binary::tombolo()?);
        command
            .arg("serve")
            .args(options.arguments())
            .current_dir(folder)
            .env_clear()
            .env("TOMBOLO_DATA__DIR", options.data_in(folder))
            .env("TOMBOLO_SERVER__LISTEN", listen)
            .envs(options.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        let mut child = command.spawn().context("tombolo cannot be started")?;
        let output = child.stdout.take().context("tombolo has no standard output")?;
        let mut output = BufReader::new(output).lines();
        let told = tokio::time::timeout(START_LIMIT, listening(&mut output)).await;
        let Ok(Some(origin)) = told else {
            bail!("tombolo does not start\n{}", end_of_log(folder));
        };
        Ok(Self { child, origin, _output: output })
    }

    /// Where it listens.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// SIGKILL.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("tombolo cannot be killed")
    }

    /// SIGSTOP.
    pub fn freeze(&self) -> anyhow::Result<()> {
        Ok(kill_process(self.pid()?, Signal::STOP)?)
    }

    /// SIGCONT.
    pub fn thaw(&self) -> anyhow::Result<()> {
        Ok(kill_process(self.pid()?, Signal::CONT)?)
    }

    /// SIGTERM, and what the process left with.
    pub async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        kill_process(self.pid()?, Signal::TERM)?;
        let ended = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await;
        Ok(ended.with_context(|| format!("tombolo did not end within {STOP_LIMIT:?}"))??)
    }

    /// The most memory that the process has had in RAM so far: `VmHWM` of `/proc/<pid>/status`.
    pub fn peak_bytes(&self) -> anyhow::Result<u64> {
        let text =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid()?.as_raw_nonzero()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kib.context("no VmHWM in the status of the process")?.parse::<u64>()? * 1024)
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        id.and_then(Pid::from_raw).context("tombolo has ended by itself")
    }
}

/// Reads up to the line with the address. None if the output ends before.
async fn listening(output: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    const START: &str = "Tombolo listens on ";
    while let Ok(Some(line)) = output.next_line().await {
        if let Some(rest) = line.strip_prefix(START) {
            return rest.split_whitespace().next().map(str::to_owned);
        }
    }
    None
}

/// All that was logged.
pub(super) fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join(LOG)).unwrap_or_default()
}

/// The end of the log.
pub(super) fn end_of_log(folder: &Path) -> String {
    let log = log_of(folder);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
