//! A measured program: started, its address read, its processor time, memory and writes looked up.
//!
//! Beside [`crate::host`], which gives tests a host on a data folder of its own: a benchmark chooses
//! folder and time of each start, and measures the yardstick in the same way.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long a stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The pause between two looks whether a process has ended.
const STOP_PAUSE: Duration = Duration::from_millis(10);

/// A tick of `/proc/<pid>/stat`: 100 a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// A process that ends with this value.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What a process has used since its start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system.
    pub processor: Duration,
    /// Resident now.
    pub resident_bytes: u64,
    /// Resident at most.
    pub peak_bytes: u64,
    /// Sent to the disk.
    pub written_bytes: u64,
}

impl Process {
    /// Starts a program and waits for its first line, which names its address. What it says on
    /// standard error goes to `log`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let log_file = File::create(log).with_context(|| format!("{}", log.display()))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log_file);
        let mut child =
            command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        let told = child.stdout.take().map(address_in);
        match told {
            Some(Ok(address)) => Ok(Self { child, address }),
            other => {
                // It is of no use, whatever it is still doing.
                let _ = child.kill();
                let _ = child.wait();
                let error = other.and_then(Result::err).unwrap_or_else(|| anyhow!("no output"));
                Err(error.context(format!(
                    "{:?} does not start: see {}",
                    command.get_program(),
                    log.display()
                )))
            }
        }
    }

    /// What it has used; zero where there is no `/proc`.
    pub fn usage(&self) -> Usage {
        let read = |name: &str| {
            std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap_or_default()
        };
        let (status, io) = (read("status"), read("io"));
        Usage {
            processor: processor(&read("stat")),
            resident_bytes: field(&status, "VmRSS:") * 1024,
            peak_bytes: field(&status, "VmHWM:") * 1024,
            written_bytes: field(&io, "write_bytes:"),
        }
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// If it does not end in time, or not well.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no process id")?, Signal::TERM)?;
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "a program ended with {status}");
                return Ok(());
            }
            if asked.elapsed() > STOP_LIMIT {
                bail!("a program did not end within {} s", STOP_LIMIT.as_secs());
            }
            std::thread::sleep(STOP_PAUSE);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first line's address. What comes after it is read and dropped, so that the program never
/// waits for us.
fn address_in(output: ChildStdout) -> anyhow::Result<SocketAddr> {
    let (found, is_found) = sync_channel(1);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody waits any more after the first line.
            let _ = found.try_send(line);
        }
    });
    let line = is_found.recv_timeout(START_LIMIT)?;
    line.split([' ', '/', '(', ')'])
        .find_map(|word| word.parse().ok())
        .with_context(|| format!("no address in `{line}`"))
}

/// Fields 14 and 15 of proc(5), in ticks.
fn processor(stat: &str) -> Duration {
    let ticks = fields(stat).skip(11).take(2);
    let ticks: u32 = ticks.filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    TICK * ticks
}

/// What a process and its children have used so far, those that have ended among them. Their
/// children's children are not counted.
pub fn processor_of_all(pid: u32) -> Duration {
    let stat = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let own = stat(&pid.to_string());
    // Fields 16 and 17: of children that have ended.
    let ended = fields(&own).skip(13).take(2);
    let ended: u32 = ended.filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    let parent = pid.to_string();
    let children = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let children: Duration = children
        .map(|entry| stat(&entry.file_name().to_string_lossy()))
        .filter(|stat| fields(stat).nth(1) == Some(&*parent))
        .map(|stat| processor(&stat))
        .sum();
    processor(&own) + TICK * ended + children
}

/// Those after the name, which may hold blanks: the first is field 3 of proc(5).
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit(") ").next().unwrap_or_default().split(' ')
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20";
        assert_eq!(processor(stat), Duration::from_secs(2));
        assert_eq!(field("VmHWM:\t  12 kB\nVmRSS:\t  8 kB\n", "VmRSS:"), 8);
    }
}
