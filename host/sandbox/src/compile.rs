//! Compilation: one at a time, off the request path, bounded in time and, in a process of its own,
//! in memory. Never runs what it compiles.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tombolo_core::ports::sandbox::InstallError;
use wasmtime::Engine;

use crate::cache::Vouched;
use crate::engine;
use crate::settings::SandboxSettings;

/// Most of a compiling process's complaint that is kept; bytes.
const COMPLAINT_BYTES: u64 = 4 * 1024;

/// Most code that a compiling process may answer with: many times what the largest component
/// becomes; bytes.
const CODE_BYTES: u64 = 1024 * 1024 * 1024;

/// Where components are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// On a thread of this process: bounded by the component's size only, and by the time that
    /// somebody waits for it.
    InProcess,
    /// In a process that runs [`compile_worker`], bounded in memory and killed when it takes too
    /// long.
    Process {
        /// The program, usually this one.
        program: PathBuf,
        /// What makes it call [`compile_worker`].
        arguments: Vec<String>,
    },
}

/// Compiles for one engine.
pub(crate) struct Compilation {
    engine: Engine,
    compiler: Compiler,
    order: Order,
    timeout: Duration,
    turn: Arc<Semaphore>,
}

/// What a compiling process is told first, as one line of JSON.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Order {
    max_stack_bytes: usize,
    memory_bytes: u64,
    cpu_seconds: u64,
}

impl Compilation {
    pub(crate) fn new(engine: Engine, compiler: Compiler, settings: &SandboxSettings) -> Self {
        let timeout = settings.compile_timeout();
        Self {
            engine,
            compiler,
            order: Order {
                max_stack_bytes: settings.max_stack_bytes,
                memory_bytes: settings.compile_memory_bytes,
                // Several threads compile; the clock on the wall is the sharper bound.
                cpu_seconds: timeout.as_secs().saturating_mul(4).max(1),
            },
            timeout,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    pub(crate) async fn compile(&self, component: Bytes) -> Result<Vouched, InstallError> {
        let turn = tokio::time::timeout(self.timeout, Arc::clone(&self.turn).acquire_owned())
            .await
            .map_err(|_| failed("another compilation is still running; try again later"))?
            .map_err(|_| failed("the compiler was shut down"))?;
        let compiling = async {
            match &self.compiler {
                Compiler::InProcess => self.here(component, turn).await,
                Compiler::Process { program, arguments } => {
                    let mut command = Command::new(program);
                    command.args(arguments);
                    let code = self.elsewhere(command, component).await;
                    drop(turn);
                    code
                }
            }
        };
        let code = tokio::time::timeout(self.timeout, compiling).await.map_err(|_| {
            failed(format!(
                "it took longer than {} ms (limit compile_timeout_ms)",
                self.timeout.as_millis()
            ))
        })??;
        Ok(Vouched::compiled(code))
    }

    /// The turn goes on when the compilation is over, whether or not somebody waits for it.
    async fn here(
        &self,
        component: Bytes,
        turn: OwnedSemaphorePermit,
    ) -> Result<Vec<u8>, InstallError> {
        let engine = self.engine.clone();
        tokio::task::spawn_blocking(move || {
            let code = engine.precompile_component(&component);
            drop(turn);
            code
        })
        .await
        .map_err(|error| failed(format!("the compiler failed: {error}")))?
        .map_err(|error| failed(format!("{error:#}")))
    }

    async fn elsewhere(
        &self,
        mut command: Command,
        component: Bytes,
    ) -> Result<Vec<u8>, InstallError> {
        let no_process = |error| failed(format!("no process to compile in: {error}"));
        let mut process = command
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(no_process)?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            return Err(failed("no process to compile in: it has no streams"));
        };
        let mut order =
            serde_json::to_vec(&self.order).map_err(|error| failed(error.to_string()))?;
        order.push(b'\n');
        let feed = async move {
            // A process that died says why by its status.
            let _ = stdin.write_all(&order).await;
            let _ = stdin.write_all(&component).await;
        };
        let mut code = Vec::new();
        let mut stdout = stdout.take(CODE_BYTES);
        let ((), read, complaint) =
            tokio::join!(feed, stdout.read_to_end(&mut code), complaint(stderr));
        let status = process.wait().await.map_err(no_process)?;
        if status.success() && read.is_ok() && (code.len() as u64) < CODE_BYTES {
            return Ok(code);
        }
        if status.signal() == Some(Signal::XCPU.as_raw()) {
            return Err(failed(format!(
                "it took more than {} s of processor time (limit compile_timeout_ms)",
                self.order.cpu_seconds
            )));
        }
        Err(failed(match (status.code(), complaint.trim()) {
            (Some(1), complaint) if !complaint.is_empty() => complaint.to_owned(),
            _ => format!(
                "the compiler ended with {status}, as it does when it needs more memory than {} bytes (limit compile_memory_bytes)",
                self.order.memory_bytes
            ),
        }))
    }
}

/// What a process writes to its standard error: the beginning, and the rest to nowhere, so that it
/// never waits for a reader.
async fn complaint(mut stderr: ChildStderr) -> String {
    let mut beginning = Vec::new();
    // Without a complaint the status has to do.
    let _ = (&mut stderr).take(COMPLAINT_BYTES).read_to_end(&mut beginning).await;
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&beginning).into_owned()
}

fn failed(reason: impl Into<String>) -> InstallError {
    InstallError::CompileFailed { reason: reason.into() }
}

/// The other end of [`Compiler::Process`]: bounds itself, compiles the component that comes on
/// standard input and writes the code to standard output.
pub fn compile_worker() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            eprintln!("{complaint}");
            ExitCode::from(1)
        }
    }
}

fn work() -> Result<(), String> {
    let mut stdin = std::io::stdin().lock();
    let order = read_order(&mut stdin)?;
    bound(order)?;
    let mut component = Vec::new();
    stdin.read_to_end(&mut component).map_err(|error| error.to_string())?;
    let engine = engine::compiling(order.max_stack_bytes).map_err(|error| format!("{error:#}"))?;
    let code = engine.precompile_component(&component).map_err(|error| format!("{error:#}"))?;
    std::io::stdout().write_all(&code).map_err(|error| error.to_string())
}

fn read_order(stdin: &mut impl Read) -> Result<Order, String> {
    /// An order is far shorter.
    const LINE_BYTES: usize = 1024;
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LINE_BYTES {
        stdin.read_exact(&mut byte).map_err(|error| error.to_string())?;
        if byte == *b"\n" {
            break;
        }
        line.extend(byte);
    }
    serde_json::from_slice(&line).map_err(|error| format!("not an order: {error}"))
}

fn bound(order: Order) -> Result<(), String> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limits = [
        (Resource::As, order.memory_bytes, order.memory_bytes),
        // At the first a signal that says why, at the second the end.
        (Resource::Cpu, order.cpu_seconds, order.cpu_seconds.saturating_add(1)),
        (Resource::Core, 0, 0),
    ];
    for (resource, soft, hard) in limits {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })
            .map_err(|error| format!("cannot bound the compiler: {error}"))?;
    }
    Ok(())
}
