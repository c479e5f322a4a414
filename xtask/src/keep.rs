//! Children that never outlive us, whatever ends us: each is started through a keeper, this program
//! again, whose standard input we hold. When the input closes, because we end or are killed, the
//! keeper asks its child to end, and insists after a while. Touches no process but that child.

use std::io::Read;
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// The hidden command of the keeper.
pub const COMMAND: &str = "keep";

/// How long a child that was asked to end may take; Tombolo itself drains for up to 10 s.
const END_LIMIT: Duration = Duration::from_secs(15);

/// How long the keeper may take on top of that.
const KEEPER_LIMIT: Duration = Duration::from_secs(20);

/// The pause between two looks at a process that is ending.
const LOOK: Duration = Duration::from_millis(20);

/// A child that ends with this value.
#[derive(Debug)]
pub struct Kept {
    keeper: Child,
}

impl Kept {
    /// Starts `command` through a keeper. `streams` says where its output goes.
    pub fn start(command: &Command, streams: impl FnOnce(&mut Command)) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("cannot find the program xtask itself")?;
        let mut keeper = Command::new(own);
        keeper.arg(COMMAND).arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            keeper.current_dir(folder);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => keeper.env(name, value),
                None => keeper.env_remove(name),
            };
        }
        streams(keeper.stdin(Stdio::piped()));
        own_group(&mut keeper);
        let keeper = keeper.spawn().context("cannot start a second xtask")?;
        Ok(Self { keeper })
    }

    /// The child's standard output, if it was piped and was not taken before.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.keeper.stdout.take()
    }

    /// The code it ended with, if it did.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.keeper.try_wait()?)
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        // Not `Child::wait`, which would close its input, and so tell it to end.
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        if !matches!(ends_within(&mut self.keeper, KEEPER_LIMIT), Ok(true)) {
            // There is nobody to tell; the keeper itself does not answer any more.
            let _ = self.keeper.kill();
            let _ = self.keeper.wait();
        }
    }
}

/// Waits for a child of ours; if the limit is over, ends it and gives none.
pub fn within(mut child: Child, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    if !ends_within(&mut child, limit)? {
        child.kill()?;
        child.wait()?;
        return Ok(None);
    }
    Ok(child.try_wait()?)
}

/// The keeper: runs `command` until it ends or our input closes.
pub fn run(command: &[&str]) -> anyhow::Result<ExitCode> {
    let [program, arguments @ ..] = command else {
        bail!("`{COMMAND}` needs a program to start");
    };
    let mut child = Command::new(program)
        .args(arguments)
        // Open as long as we are: the stand-ins end with their input, as we do.
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let input = input_closed();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        match input.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break end(&mut child)?,
        }
    };
    // A child that was ended by a signal has no code.
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

fn input_closed() -> Receiver<()> {
    let (closed, is_closed) = sync_channel(1);
    std::thread::spawn(move || {
        let mut ignored = [0_u8; 256];
        while matches!(std::io::stdin().read(&mut ignored), Ok(read) if read > 0) {}
        // Nobody waits any more if the child ended first.
        let _ = closed.send(());
    });
    is_closed
}

fn end(child: &mut Child) -> anyhow::Result<ExitStatus> {
    ask_to_end(child)?;
    if !ends_within(child, END_LIMIT)? {
        child.kill()?;
    }
    Ok(child.wait()?)
}

fn ends_within(child: &mut Child, limit: Duration) -> anyhow::Result<bool> {
    let asked = Instant::now();
    while child.try_wait()?.is_none() {
        if asked.elapsed() > limit {
            return Ok(false);
        }
        std::thread::sleep(LOOK);
    }
    Ok(true)
}

/// Sends SIGTERM. The standard library cannot, every POSIX shell can.
#[cfg(unix)]
fn ask_to_end(child: &Child) -> anyhow::Result<()> {
    Command::new("sh")
        .args(["-c", "kill -TERM \"$0\"", &child.id().to_string()])
        .status()
        .context("cannot start sh")?;
    Ok(())
}

#[cfg(not(unix))]
fn ask_to_end(child: &mut Child) -> anyhow::Result<()> {
    Ok(child.kill()?)
}

/// Away from the terminal's group, so that ctrl-c ends us, and the keeper sees it by its input.
#[cfg(unix)]
fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(not(unix))]
fn own_group(_command: &mut Command) {}
