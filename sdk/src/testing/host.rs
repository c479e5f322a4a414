//! The double's parts that stand for `context`, `state` and `log`, one set per thread.

use std::cell::RefCell;
use std::collections::HashMap;

use super::upstream::Answering;

/// What the double answers through [`crate::context`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The run's id.
    pub run_id: String,
    /// The node's name.
    pub node: String,
    /// Counted from 1.
    pub attempt: u32,
    /// Stable over every attempt.
    pub idempotency_key: String,
    /// Ties together what came of one event.
    pub correlation_id: String,
    /// In milliseconds since 1970-01-01T00:00:00Z.
    pub deadline_ms: u64,
    /// None for a node without a connection.
    pub base_url: Option<String>,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            run_id: "run_018f0000000070008000000000000001".to_owned(),
            node: "node".to_owned(),
            attempt: 1,
            idempotency_key: "key-1".to_owned(),
            correlation_id: "correlation-1".to_owned(),
            deadline_ms: u64::MAX,
            base_url: Some("https://upstream.test".to_owned()),
        }
    }
}

/// A line that the plugin wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// The line.
    pub message: String,
}

/// Everything the double holds.
#[derive(Debug, Default)]
pub(super) struct Double {
    pub(super) context: Context,
    pub(super) answering: Answering,
    pub(super) state: HashMap<String, (String, u64)>,
    pub(super) logs: Vec<LogLine>,
}

thread_local! {
    static DOUBLE: RefCell<Double> = RefCell::new(Double::default());
}

/// Reads or changes this thread's double.
pub(super) fn with<R>(act: impl FnOnce(&mut Double) -> R) -> R {
    DOUBLE.with_borrow_mut(act)
}

/// The transport of native builds.
pub(crate) fn current_upstream() -> Current {
    Current
}

/// The upstream that is installed in this thread.
pub(crate) struct Current;

impl crate::http::Transport for Current {
    fn send(
        &self,
        outgoing: &crate::http::Outgoing,
    ) -> Result<crate::http::Incoming, crate::http::SendFailure> {
        with(|double| double.answering.answer(outgoing))
    }
}

/// Stands for the imported interface of the same name.
pub(crate) mod context {
    use super::with;

    pub(crate) fn run_id() -> String {
        with(|double| double.context.run_id.clone())
    }

    pub(crate) fn node() -> String {
        with(|double| double.context.node.clone())
    }

    pub(crate) fn attempt() -> u32 {
        with(|double| double.context.attempt)
    }

    pub(crate) fn idempotency_key() -> String {
        with(|double| double.context.idempotency_key.clone())
    }

    pub(crate) fn correlation_id() -> String {
        with(|double| double.context.correlation_id.clone())
    }

    pub(crate) fn deadline_ms() -> u64 {
        with(|double| double.context.deadline_ms)
    }

    pub(crate) fn base_url() -> Option<String> {
        with(|double| double.context.base_url.clone())
    }
}

/// Stands for the imported interface of the same name.
pub(crate) mod state {
    use super::with;

    pub(crate) struct Entry {
        pub(crate) value: String,
        pub(crate) version: u64,
    }

    pub(crate) fn get(key: &str) -> Option<Entry> {
        with(|double| {
            double
                .state
                .get(key)
                .map(|(value, version)| Entry { value: value.clone(), version: *version })
        })
    }

    pub(crate) fn compare_and_set(key: &str, expected: u64, value: &str) -> bool {
        with(|double| {
            let current = double.state.get(key).map_or(0, |(_, version)| *version);
            if current != expected {
                return false;
            }
            let entry = (value.to_owned(), current + 1);
            double.state.insert(key.to_owned(), entry);
            true
        })
    }
}

/// Stands for the imported interface of the same name.
pub(crate) mod log {
    use super::{LogLine, with};

    #[derive(Clone, Copy)]
    pub(crate) enum Level {
        Debug,
        Info,
        Warn,
        Error,
    }

    pub(crate) fn write(level: Level, message: &str) {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        let message = message.to_owned();
        with(|double| double.logs.push(LogLine { level, message }));
    }
}
