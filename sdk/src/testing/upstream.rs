//! An in-memory other side: expects requests, answers them, records them, and fails the test on one
//! that nobody expected or that never came.

use serde_json::Value;

use super::host::{self, Context, Double, LogLine};
use super::{Called, invoke};
use crate::error::NodeError;
use crate::http::{Incoming, Outgoing, SendFailure};
use crate::plugin::Plugin;

/// An other side that is being set up.
#[derive(Debug, Default)]
#[must_use = "install the upstream to have it answer"]
pub struct Upstream {
    expected: Vec<Expectation>,
    context: Context,
}

/// A request whose answer is being set up.
#[derive(Debug)]
#[must_use = "say how to answer the request"]
pub struct Expecting {
    upstream: Upstream,
    method: &'static str,
    path: &'static str,
}

/// A response to be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply(Incoming);

#[derive(Debug)]
struct Expectation {
    method: &'static str,
    path: &'static str,
    answer: Result<Incoming, SendFailure>,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// The path, without the query.
    pub path: String,
    /// The query without `?`, empty if there is none.
    pub query: String,
    /// In the order they were added.
    pub headers: Vec<(String, String)>,
    /// Empty if there is none.
    pub body: Vec<u8>,
}

/// An upstream that answers this thread until it is dropped.
#[derive(Debug)]
#[must_use = "the upstream answers as long as its session lives"]
pub struct Session(());

/// What is still expected, and what came.
#[derive(Debug, Default)]
pub(super) struct Answering {
    expected: Vec<Expectation>,
    recorded: Vec<Recorded>,
}

impl Upstream {
    /// One that expects no request yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects one request. A path with `?` is compared with the query, one without only with the
    /// path.
    pub fn on(self, method: &'static str, path: &'static str) -> Expecting {
        Expecting { upstream: self, method, path }
    }

    /// Sets what [`crate::context`] answers.
    pub fn context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// Makes it this thread's other side.
    pub fn install(self) -> Session {
        host::with(|double| {
            *double = Double {
                context: self.context,
                answering: Answering { expected: self.expected, recorded: Vec::new() },
                ..Double::default()
            };
        });
        Session(())
    }
}

impl Expecting {
    /// Answers with a status and a JSON body.
    pub fn respond(self, status: u16, body: Value) -> Upstream {
        self.reply(Reply::json(status, &body))
    }

    /// Answers with any reply.
    pub fn reply(self, reply: Reply) -> Upstream {
        self.answer(Ok(reply.0))
    }

    /// Fails the call itself.
    pub fn fail(self, failure: SendFailure) -> Upstream {
        self.answer(Err(failure))
    }

    fn answer(mut self, answer: Result<Incoming, SendFailure>) -> Upstream {
        self.upstream.expected.push(Expectation { method: self.method, path: self.path, answer });
        self.upstream
    }
}

impl Reply {
    /// A JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, &body.to_string()).header("content-type", "application/json")
    }

    /// A body as it is, without a content type.
    pub fn text(status: u16, body: &str) -> Self {
        Self(Incoming { status, headers: Vec::new(), body: body.as_bytes().to_vec() })
    }

    /// The same with a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Recorded {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body of {} is no JSON: {error}", self.url))
    }

    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl Session {
    /// Runs an operation, as [`invoke`] does.
    pub fn invoke(
        &self,
        plugin: &Plugin,
        operation: &str,
        params: Value,
    ) -> Result<Called, NodeError> {
        invoke(plugin, operation, params)
    }

    /// The requests that came, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        host::with(|double| double.answering.recorded.clone())
    }

    /// The lines that were logged, in order.
    pub fn logs(&self) -> Vec<LogLine> {
        host::with(|double| double.logs.clone())
    }

    /// The state stored under `key`.
    pub fn state(&self, key: &str) -> Option<Value> {
        host::with(|double| {
            let (text, _) = double.state.get(key)?;
            serde_json::from_str(text).ok()
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let left = host::with(|double| std::mem::take(double).answering.expected);
        if !std::thread::panicking() && !left.is_empty() {
            panic!("requests that were expected and never came: {}", list(&left));
        }
    }
}

impl Answering {
    /// Answers from the first expectation that fits, which is then spent.
    pub(super) fn answer(&mut self, outgoing: &Outgoing) -> Result<Incoming, SendFailure> {
        let recorded = record(outgoing);
        let Some(found) = self.expected.iter().position(|one| one.fits(&recorded)) else {
            panic!(
                "unexpected request {} {}; expected: {}",
                recorded.method,
                recorded.url,
                list(&self.expected)
            );
        };
        self.recorded.push(recorded);
        self.expected.remove(found).answer
    }
}

impl Expectation {
    fn fits(&self, request: &Recorded) -> bool {
        let path_fits = match self.path.split_once('?') {
            Some((path, query)) => path == request.path && query == request.query,
            None => self.path == request.path,
        };
        self.method == request.method && path_fits
    }
}

fn record(outgoing: &Outgoing) -> Recorded {
    Recorded {
        method: outgoing.method.to_string(),
        url: outgoing.url.to_string(),
        path: outgoing.url.path().to_owned(),
        query: outgoing.url.query().unwrap_or_default().to_owned(),
        headers: outgoing.headers.clone(),
        body: outgoing.body.clone().unwrap_or_default(),
    }
}

fn list(expected: &[Expectation]) -> String {
    if expected.is_empty() {
        return "none".to_owned();
    }
    let lines: Vec<String> =
        expected.iter().map(|one| format!("{} {}", one.method, one.path)).collect();
    lines.join(", ")
}
