//! Every bound of the sandbox, by name. The names are the keys of the configuration file and the
//! words of the errors; nothing else in this crate holds a limit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The bounds of everything that runs in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxSettings {
    /// Calls that may call out and run at the same time; more wait in order.
    pub instances: u32,
    /// Calls that only compute and run at the same time, expressions among them; more wait in
    /// order. Their turns are their own: one who waits for a slow system keeps none of them.
    pub computing_instances: u32,
    /// How long a call may wait for its turn; milliseconds.
    pub queue_timeout_ms: u64,
    /// Compiled components kept in memory; the least recently used one goes first.
    pub loaded_components: usize,

    /// Largest component that can be uploaded; bytes.
    pub max_component_bytes: usize,
    /// How long a compilation may take, and how long it may wait for the one before; milliseconds.
    pub compile_timeout_ms: u64,
    /// Address space of the compiling process; bytes. Without such a process the size and the time
    /// are the only bounds.
    pub compile_memory_bytes: u64,
    /// Compiled code kept in the cache folder; bytes. The oldest goes first.
    pub cache_bytes: u64,

    /// Bounds of one call of an operation.
    pub call: CallBounds,
    /// Bounds of `describe`.
    pub describe: PureBounds,
    /// Bounds of one evaluation of expressions.
    pub expression: PureBounds,
    /// Bounds of what a plugin writes to its logs, standard output included.
    pub log: LogBounds,
    /// Bounds of what one attempt keeps in its state.
    pub state: StateBounds,
    /// Bounds of the calls that one attempt makes to the outside.
    pub http: HttpBounds,
    /// Bounds of instances that are kept for the next call.
    pub warm: WarmBounds,

    /// Native stack of WebAssembly code; bytes.
    pub max_stack_bytes: usize,
}

/// Bounds of one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallBounds {
    /// The sum over all memories of the instance; bytes.
    pub memory_bytes: usize,
    /// The sum over all tables of the instance; elements.
    pub table_elements: usize,
    /// Processor time; milliseconds, counted in ticks of 10.
    pub cpu_ms: u64,
    /// Largest output, and largest parameters of one host call; bytes.
    pub output_bytes: usize,
    /// Output ports that may fire at once.
    pub ports: usize,
    /// Host objects (streams, headers, requests) that a plugin may hold.
    pub handles: usize,
    /// Most bytes of randomness in one request.
    pub random_bytes: u64,
    /// Largest message or details of an error; bytes.
    pub error_bytes: usize,
}

/// Bounds of a call that computes only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PureBounds {
    /// Wall-clock time; milliseconds.
    pub timeout_ms: u64,
    /// The sum over all memories of the instance; bytes.
    pub memory_bytes: usize,
    /// Largest answer; bytes.
    pub output_bytes: usize,
}

/// Bounds of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogBounds {
    /// Lines of one attempt.
    pub lines: usize,
    /// All lines of one attempt together; bytes.
    pub bytes: usize,
    /// One line; bytes.
    pub line_bytes: usize,
}

/// Bounds of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateBounds {
    /// Entries that one attempt may read or write.
    pub entries: usize,
    /// A key; bytes.
    pub key_bytes: usize,
    /// A value; bytes.
    pub value_bytes: usize,
}

/// Bounds of calls to the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpBounds {
    /// Calls of one attempt.
    pub calls: u32,
    /// Calls whose answer was not read to its end yet.
    pub open_calls: usize,
    /// A request's body; bytes.
    pub request_bytes: usize,
    /// The headers of one request or response, with some bytes for each; bytes.
    pub header_bytes: usize,
    /// Answers that are kept of an attempt that failed, so that the next one need not make the
    /// calls again; bytes.
    pub journal_bytes: usize,
}

/// Bounds of warm instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WarmBounds {
    /// Idle instances kept; the one unused for longest goes first.
    pub instances: u32,
    /// Calls after which an instance is replaced.
    pub calls: u32,
    /// Memory above which an instance is not kept; bytes.
    pub memory_bytes: usize,
    /// Idle time after which an instance is dropped; milliseconds.
    pub idle_ms: u64,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self {
            instances: 256,
            computing_instances: 64,
            queue_timeout_ms: 30_000,
            loaded_components: 256,
            max_component_bytes: 20 * MIB,
            compile_timeout_ms: 60_000,
            compile_memory_bytes: 4 * 1024 * MIB as u64,
            cache_bytes: 1024 * MIB as u64,
            call: CallBounds::default(),
            describe: PureBounds { timeout_ms: 1_000, memory_bytes: 32 * MIB, output_bytes: MIB },
            expression: PureBounds {
                timeout_ms: 1_000,
                memory_bytes: 64 * MIB,
                output_bytes: 16 * MIB,
            },
            log: LogBounds::default(),
            state: StateBounds::default(),
            http: HttpBounds::default(),
            warm: WarmBounds::default(),
            max_stack_bytes: 512 * KIB,
        }
    }
}

impl Default for CallBounds {
    fn default() -> Self {
        Self {
            memory_bytes: 64 * MIB,
            table_elements: 50_000,
            cpu_ms: 10_000,
            output_bytes: 16 * MIB,
            ports: 64,
            handles: 4096,
            random_bytes: 64 * KIB as u64,
            error_bytes: 64 * KIB,
        }
    }
}

impl Default for LogBounds {
    fn default() -> Self {
        Self { lines: 1_000, bytes: 256 * KIB, line_bytes: 8 * KIB }
    }
}

impl Default for StateBounds {
    fn default() -> Self {
        Self { entries: 256, key_bytes: 256, value_bytes: 256 * KIB }
    }
}

impl Default for HttpBounds {
    fn default() -> Self {
        Self {
            calls: 256,
            open_calls: 8,
            request_bytes: 16 * MIB,
            header_bytes: 64 * KIB,
            journal_bytes: 16 * MIB,
        }
    }
}

impl Default for WarmBounds {
    fn default() -> Self {
        Self { instances: 64, calls: 1_000, memory_bytes: 16 * MIB, idle_ms: 300_000 }
    }
}

impl SandboxSettings {
    /// How long a call may wait for its turn.
    pub(crate) fn queue_timeout(&self) -> Duration {
        Duration::from_millis(self.queue_timeout_ms)
    }

    /// How long a compilation may take.
    pub(crate) fn compile_timeout(&self) -> Duration {
        Duration::from_millis(self.compile_timeout_ms)
    }

    /// The largest memory that any kind of call may have.
    pub(crate) fn largest_memory_bytes(&self) -> usize {
        self.call.memory_bytes.max(self.describe.memory_bytes).max(self.expression.memory_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = serde_json::from_str::<SandboxSettings>(r#"{"call": {"memory_byte": 1}}"#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("memory_byte"), "{error}");
    }

    #[test]
    fn what_is_not_named_keeps_its_default() {
        let settings: SandboxSettings =
            serde_json::from_str(r#"{"instances": 2, "warm": {"calls": 5}}"#).unwrap();
        assert_eq!(settings.instances, 2);
        assert_eq!(settings.warm, WarmBounds { calls: 5, ..WarmBounds::default() });
        assert_eq!(settings.call, CallBounds::default());
    }
}
