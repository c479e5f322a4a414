//! How an attempt ends that the plugin did not end itself: every way to die, its stable code, its
//! class and its sentence. Decides; does nothing.

use serde_json::{Value, json};
use tombolo_core::effect::Effect;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::ports::sandbox::{INTERRUPTED, LogLine, SANDBOX_BUSY};
use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::FieldMapError;

use crate::limits::{Limiter, Refused};
use crate::random::TooMuchRandom;
use crate::state::StateFault;

/// Lines of standard error that go with a trap.
const STDERR_LINES: usize = 5;

/// Why a call has no answer of the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No turn came.
    Busy { waited_ms: u64 },
    /// Its run ends, or its host does.
    Interrupted,
    /// The wall clock.
    Timeout { limit_ms: u64 },
    /// The processor clock.
    Cpu { limit_ms: u64 },
    /// The sum of its memories.
    Memory { wanted: usize, limit: usize },
    /// The sum of its tables.
    Tables { wanted: usize, limit: usize },
    /// Host objects.
    Handles { limit: usize },
    /// The headers of one request.
    Headers { limit: usize },
    /// The answer is too large.
    Output { limit: usize },
    /// The answer fires too many ports.
    Ports { count: usize, limit: usize },
    /// One call of the host carries too much.
    HostCall { limit: usize },
    /// The native stack.
    Stack { backtrace: Vec<String> },
    /// `exit` was called.
    Exit { status: i32 },
    /// Everything else that WebAssembly does to end itself.
    Trap { reason: String, backtrace: Vec<String>, stderr: Vec<String> },
    /// The answer is not what the contract says.
    Malformed { reason: String },
    /// It used its state beyond its bounds.
    State { reason: String },
    /// It put something into its state that is not JSON.
    StateValue { reason: String },
    /// The state could not be read.
    StateUnavailable { reason: String },
    /// It asked for too much randomness.
    Random { reason: String },
    /// It made another call than an earlier attempt at the same place.
    Mismatch { sequence: u32 },
    /// It would make a call again whose answer was too large to be kept.
    Journal { sequence: u32, limit: usize },
}

/// The bounds that apply to the call, for the messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applied {
    pub(crate) cpu_ms: u64,
    pub(crate) output_bytes: usize,
    pub(crate) handles: usize,
    pub(crate) header_bytes: usize,
}

/// Ends a guest that used up its processor time.
#[derive(Debug, thiserror::Error)]
#[error("out of processor time")]
pub(crate) struct OutOfCpu;

impl Failure {
    /// Tells why the guest died from the error that ended it and from what it was refused before.
    pub(crate) fn of(
        error: &wasmtime::Error,
        limiter: &Limiter,
        applied: Applied,
        logs: &[LogLine],
    ) -> Self {
        let backtrace = backtrace(error);
        if error.is::<OutOfCpu>() {
            return Self::Cpu { limit_ms: applied.cpu_ms };
        }
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Self::Exit { status: exit.0 };
        }
        if let Some(fault) = error.downcast_ref::<StateFault>() {
            let reason = fault.to_string();
            return match fault {
                StateFault::Unavailable(_) => Self::StateUnavailable { reason },
                StateFault::Limit { .. } => Self::State { reason },
                StateFault::Invalid { .. } => Self::StateValue { reason },
            };
        }
        if let Some(too_much) = error.downcast_ref::<TooMuchRandom>() {
            return Self::Random { reason: too_much.to_string() };
        }
        if matches!(error.downcast_ref(), Some(ResourceTableError::Full))
            || says(error, "store handle limit exceeded")
        {
            return Self::Handles { limit: applied.handles };
        }
        if let Some(FieldMapError::TotalSizeTooBig | FieldMapError::TooManyFields) =
            error.downcast_ref()
        {
            return Self::Headers { limit: applied.header_bytes };
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return Self::Busy { waited_ms: 0 };
        }
        if error.downcast_ref::<Trap>() == Some(&Trap::StackOverflow) {
            return Self::Stack { backtrace };
        }
        // A guest that runs out of memory ends itself by `unreachable`, or never starts.
        let gave_up = matches!(error.downcast_ref(), None | Some(Trap::UnreachableCodeReached));
        match limiter.refused().filter(|_| gave_up) {
            Some(Refused::Memory(wanted)) => {
                return Self::Memory { wanted, limit: limiter.memory_limit() };
            }
            Some(Refused::Tables(wanted)) => {
                return Self::Tables { wanted, limit: limiter.table_limit() };
            }
            None => {}
        }
        if says(error, "fuel allocated for hostcalls has been exhausted") {
            // Without frames the guest had returned: it was the answer.
            return match backtrace.as_slice() {
                [] => Self::Output { limit: applied.output_bytes },
                _ => Self::HostCall { limit: applied.output_bytes },
            };
        }
        Self::Trap { reason: reason(error), backtrace, stderr: last_words(logs) }
    }

    /// Stable, for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Busy { .. } => SANDBOX_BUSY,
            Self::Interrupted => INTERRUPTED,
            Self::Timeout { .. } => "step-timeout",
            Self::Cpu { .. } => "cpu-limit",
            Self::Memory { .. } => "memory-limit",
            Self::Tables { .. } => "table-limit",
            Self::Handles { .. } => "handle-limit",
            Self::Headers { .. } => "header-limit",
            Self::Output { .. } | Self::Ports { .. } => "output-limit",
            Self::HostCall { .. } => "host-call-limit",
            Self::Stack { .. } => "stack-overflow",
            Self::Exit { .. } => "exit",
            Self::Trap { .. } => "trap",
            Self::Malformed { .. } => "malformed-output",
            Self::State { .. } => "state-limit",
            Self::StateValue { .. } => "invalid-state",
            Self::StateUnavailable { .. } => "state-unavailable",
            Self::Random { .. } => "random-limit",
            Self::Mismatch { .. } => "journal-mismatch",
            Self::Journal { .. } => "journal-limit",
        }
    }

    /// True if a bound was reached, rather than something broken.
    pub(crate) fn is_limit(&self) -> bool {
        !matches!(
            self,
            Self::Exit { .. }
                | Self::Trap { .. }
                | Self::Malformed { .. }
                | Self::StateValue { .. }
                | Self::StateUnavailable { .. }
                | Self::Busy { .. }
                | Self::Interrupted
                | Self::Mismatch { .. }
        )
    }

    /// One sentence for people.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Busy { waited_ms } => format!(
                "all instances were busy for {waited_ms} ms (limits instances, computing_instances, queue_timeout_ms)"
            ),
            Self::Interrupted => {
                "the attempt was cut off, because its run ends or the host does".to_owned()
            }
            Self::Timeout { limit_ms } => {
                format!("the plugin did not finish within {limit_ms} ms (the node's timeout)")
            }
            Self::Cpu { limit_ms } => format!(
                "the plugin used more than {limit_ms} ms of processor time (limit call.cpu_ms)"
            ),
            Self::Memory { wanted, limit } => format!(
                "the plugin wanted {wanted} bytes of memory and may have {limit} (limit memory_bytes)"
            ),
            Self::Tables { wanted, limit } => format!(
                "the plugin wanted {wanted} table elements and may have {limit} (limit call.table_elements)"
            ),
            Self::Handles { limit } => {
                format!("the plugin held more than {limit} host objects (limit call.handles)")
            }
            Self::Headers { limit } => format!(
                "the headers of a request take more than {limit} bytes (limit http.header_bytes)"
            ),
            Self::Output { limit } => {
                format!("the output is larger than {limit} bytes (limit output_bytes)")
            }
            Self::Ports { count, limit } => {
                format!("{count} ports fire at once, more than {limit} (limit call.ports)")
            }
            Self::HostCall { limit } => format!(
                "the plugin passed more than {limit} bytes to the host in one call (limit call.output_bytes)"
            ),
            Self::Stack { .. } => {
                "the plugin recursed too deeply (limit max_stack_bytes)".to_owned()
            }
            Self::Exit { status } => {
                format!("the plugin called `exit` with status {status} instead of answering")
            }
            Self::Trap { reason, .. } => format!("the plugin crashed: {reason}"),
            Self::Malformed { reason } => {
                format!("the plugin's answer is not acceptable: {reason}")
            }
            Self::State { reason }
            | Self::StateValue { reason }
            | Self::StateUnavailable { reason }
            | Self::Random { reason } => reason.clone(),
            Self::Mismatch { sequence } => format!(
                "call {sequence} is another one than an earlier attempt made at its place; nothing was sent. The plugin has to ask for the same in every attempt"
            ),
            Self::Journal { sequence, limit } => format!(
                "call {sequence} was made by an earlier attempt, and its answer was too large to be kept; nothing was sent (limit http.journal_bytes = {limit})"
            ),
        }
    }

    /// What to do about it. `uncertain` says that a call may have changed the other side and nobody
    /// knows: however the attempt ended then, that is what has to be looked up.
    fn class(&self, effect: Effect, uncertain: bool) -> ErrorClass {
        match self {
            _ if uncertain && !effect.repeatable() => ErrorClass::UnknownOutcome,
            Self::Busy { .. }
            | Self::Interrupted
            | Self::Timeout { .. }
            | Self::StateUnavailable { .. } => ErrorClass::Transient,
            _ => ErrorClass::Permanent,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Stack { backtrace } if !backtrace.is_empty() => {
                Some(json!({ "backtrace": backtrace }))
            }
            Self::Trap { backtrace, stderr, .. } => {
                let mut details = serde_json::Map::new();
                if !backtrace.is_empty() {
                    details.insert("backtrace".to_owned(), json!(backtrace));
                }
                if !stderr.is_empty() {
                    details.insert("stderr".to_owned(), json!(stderr));
                }
                (!details.is_empty()).then_some(Value::Object(details))
            }
            _ => None,
        }
    }

    /// The error of the step.
    pub(crate) fn into_step_error(self, effect: Effect, uncertain: bool) -> StepError {
        StepError {
            class: self.class(effect, uncertain),
            code: self.code().to_owned(),
            message: self.message(),
            retry_after_ms: None,
            details: self.details(),
        }
    }
}

/// wasmtime keeps the types of some errors to itself.
fn says(error: &wasmtime::Error, words: &str) -> bool {
    error.chain().any(|cause| cause.to_string().contains(words))
}

fn reason(error: &wasmtime::Error) -> String {
    error.downcast_ref::<Trap>().map_or_else(|| error.root_cause().to_string(), Trap::to_string)
}

fn backtrace(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    backtrace
        .frames()
        .iter()
        .map(|frame| {
            let function = frame
                .func_name()
                .map_or_else(|| format!("function {}", frame.func_index()), demangled);
            match frame.module_offset() {
                Some(offset) => format!("{function} @ {offset:#x}"),
                None => function,
            }
        })
        .collect()
}

/// `_ZN3abc3def17h..E` and `_RNv..` as people wrote them.
fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// What the plugin wrote to standard error last: a panic's message.
fn last_words(logs: &[LogLine]) -> Vec<String> {
    let mut lines: Vec<String> = logs
        .iter()
        .rev()
        .filter(|line| line.level == "stderr" && !line.message.trim().is_empty())
        .take(STDERR_LINES)
        .map(|line| line.message.clone())
        .collect();
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_unknown_only_where_it_may_have_changed_something_once() {
        let timeout = Failure::Timeout { limit_ms: 1 };
        let cpu = Failure::Cpu { limit_ms: 1 };
        assert_eq!(cpu.class(Effect::Unsafe, true), ErrorClass::UnknownOutcome);
        assert_eq!(cpu.class(Effect::Keyed, true), ErrorClass::Permanent);
        for effect in [Effect::Pure, Effect::Read, Effect::Keyed] {
            assert_eq!(timeout.class(effect, true), ErrorClass::Transient);
        }
        assert_eq!(timeout.class(Effect::Unsafe, false), ErrorClass::Transient);
        assert_eq!(timeout.class(Effect::Unsafe, true), ErrorClass::UnknownOutcome);
    }

    #[test]
    fn reaching_a_bound_is_permanent_and_waiting_is_not() {
        assert_eq!(
            Failure::Memory { wanted: 2, limit: 1 }.class(Effect::Read, false),
            ErrorClass::Permanent
        );
        assert_eq!(
            Failure::Busy { waited_ms: 1 }.class(Effect::Unsafe, false),
            ErrorClass::Transient
        );
    }
}
