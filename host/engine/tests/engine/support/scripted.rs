//! A sandbox whose operations do what they are told, and an other side that counts.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tombolo_core::clock::Timestamp;
use tombolo_core::effect::Effect;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::RunId;
use tombolo_core::json::Json;
use tombolo_core::ledger::{Ask, Ledger};
use tombolo_core::ports::egress::{CallRecord, Caller, InboundResponse};
use tombolo_core::ports::journal::JournalEntry;
use tombolo_core::ports::sandbox::{
    Evaluation, ExpressionError, INTERRUPTED, InstallError, Installed, Invocation, Invoked,
    Outcome, Sandbox, StateWrite,
};

/// What an operation does next.
pub enum Script {
    Fail(StepError),
    /// Succeeds, and writes the entry `k` if it still has this version.
    Write(u64),
    /// Waits until the test lets it go on; the sender's end tells that the attempt has started.
    Hold(oneshot::Sender<()>, oneshot::Receiver<Value>),
    /// Succeeds with its input.
    Echo,
    /// Makes changing calls, one after the other, and fails where it is told.
    Changes(Changes),
    /// Makes a call and waits for its answer until it is interrupted. True if the other side may
    /// have changed something by then.
    Calls(oneshot::Sender<()>, bool),
}

/// A sandbox whose operations do what they are told, node by node, and give their input otherwise.
#[derive(Default)]
pub struct Scripted {
    scripts: Mutex<HashMap<String, VecDeque<Script>>>,
    attempts: Mutex<Vec<Attempted>>,
    always: Mutex<HashMap<String, Changes>>,
    upstream: Mutex<HashMap<Change, u32>>,
    /// Evaluations that find no room.
    busy: AtomicUsize,
}

/// Calls of one operation that change the other side.
#[derive(Debug, Clone, Copy)]
pub struct Changes {
    /// How many.
    pub calls: u8,
    /// Which one is refused for now, counted from 0, and ends the attempt.
    pub fails_at: Option<u8>,
}

/// What the other side tells apart: the step's key, and the place of the change below it.
pub type Change = (RunId, String, String, u32);

/// An attempt that was made.
struct Attempted {
    node: String,
    run: RunId,
    number: u32,
    key: String,
}

impl Scripted {
    pub fn next(&self, node: &str, script: Script) {
        self.scripts.lock().unwrap().entry(node.to_owned()).or_default().push_back(script);
    }

    pub fn fail(&self, node: &str, class: ErrorClass) {
        self.next(node, Script::Fail(StepError::new(class, "scripted", "as the test says")));
    }

    /// Holds the node's next attempt; first to be awaited, then to be sent to.
    pub fn hold(&self, node: &str) -> (oneshot::Receiver<()>, oneshot::Sender<Value>) {
        let (started, has_started) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel();
        self.next(node, Script::Hold(started, may_go_on));
        (has_started, go_on)
    }

    /// The next evaluations find no room.
    pub fn be_busy(&self, evaluations: usize) {
        self.busy.store(evaluations, Ordering::SeqCst);
    }

    /// Forgets what a node was to do next.
    pub fn forget(&self, node: &str) {
        self.scripts.lock().unwrap().remove(node);
    }

    /// What a node does once its scripts are used up.
    pub fn always(&self, node: &str, changes: Changes) {
        self.always.lock().unwrap().insert(node.to_owned(), changes);
    }

    /// Attempts of a node so far: numbers and idempotency keys.
    pub fn attempts(&self, node: &str) -> Vec<(u32, String)> {
        let all = self.attempts.lock().unwrap();
        all.iter().filter(|one| one.node == node).map(|one| (one.number, one.key.clone())).collect()
    }

    /// How often the other side did what, of one run: with the node, the key and the place.
    pub fn changes_of(&self, run: RunId) -> Vec<(Change, u32)> {
        let all = self.upstream.lock().unwrap();
        all.iter().filter(|(of, _)| of.0 == run).map(|(of, times)| (of.clone(), *times)).collect()
    }

    fn change(&self, caller: &Caller, place: u32) {
        let of = (caller.run, caller.node.clone(), caller.idempotency_key.clone(), place);
        *self.upstream.lock().unwrap().entry(of).or_default() += 1;
    }

    /// Asks for one change after the other, as the sandbox does for a plugin.
    fn changes(
        &self,
        invocation: &Invocation,
        script: Changes,
    ) -> (Result<Json, StepError>, Vec<JournalEntry>) {
        let caller = &invocation.caller;
        let mut ledger = Ledger::new(&invocation.journal);
        let mut result = Ok(invocation.params.clone());
        for at in 0..script.calls {
            match ledger.ask([at; 32]) {
                Ask::Send(place) if script.fails_at == Some(at) => {
                    ledger.failed(place);
                    let error = StepError::new(ErrorClass::Transient, "scripted", "at a call");
                    result = Err(error);
                    break;
                }
                Ask::Send(place) => {
                    self.change(caller, place);
                    ledger.answered(place, &created(at), usize::MAX);
                }
                Ask::Given(answer) => assert_eq!(answer, created(at), "another call's answer"),
                other => panic!("call {at} of {}: {other:?}", caller.node),
            }
        }
        (result, ledger.close(caller.effect))
    }

    /// The same of one run.
    pub fn attempts_of(&self, node: &str, run: RunId) -> Vec<(u32, String)> {
        let all = self.attempts.lock().unwrap();
        all.iter()
            .filter(|one| one.node == node && one.run == run)
            .map(|one| (one.number, one.key.clone()))
            .collect()
    }
}

#[async_trait]
impl Sandbox for Scripted {
    async fn install(&self, _: Bytes) -> Result<Installed, InstallError> {
        Err(InstallError::CoreModule)
    }

    async fn invoke(&self, invocation: Invocation) -> Invoked {
        if invocation.interrupt.interrupted().now_or_never().is_some() {
            // As the sandbox: nothing begins that is to be ended.
            let error = StepError::new(ErrorClass::Transient, INTERRUPTED, "not begun");
            let (logs, calls, state, journal) = Default::default();
            return Invoked { result: Err(error), logs, calls, state, journal };
        }
        let node = invocation.caller.node.clone();
        let caller = &invocation.caller;
        let (number, key) = (caller.attempt, caller.idempotency_key.clone());
        let attempt = Attempted { node: node.clone(), run: caller.run, number, key };
        self.attempts.lock().unwrap().push(attempt);
        let script = self.scripts.lock().unwrap().get_mut(&node).and_then(VecDeque::pop_front);
        let always = self.always.lock().unwrap().get(&node).copied();
        let script = script.or(always.map(Script::Changes));
        let (mut state, mut calls, mut journal) = (Vec::new(), Vec::new(), Vec::new());
        let result = match script {
            Some(Script::Write(expected)) => {
                state.push(StateWrite { key: "k".into(), expected, value: json!(expected).into() });
                Ok(invocation.params.clone())
            }
            None | Some(Script::Echo) => {
                self.change(caller, 0);
                Ok(invocation.params.clone())
            }
            Some(Script::Changes(script)) => {
                let (result, left) = self.changes(&invocation, script);
                journal = left;
                result
            }
            Some(Script::Fail(error)) => Err(error),
            Some(Script::Hold(started, go_on)) => {
                let _ = started.send(());
                tokio::select! {
                    value = go_on => match value {
                        Ok(value) => Ok(value.into()),
                        Err(_) => {
                            invocation.interrupt.interrupted().await;
                            Err(interrupted(&invocation))
                        }
                    },
                    () = invocation.interrupt.interrupted() => Err(interrupted(&invocation)),
                }
            }
            Some(Script::Calls(started, uncertain)) => {
                calls.push(call());
                let _ = started.send(());
                invocation.interrupt.interrupted().await;
                let mut error = interrupted(&invocation);
                if !uncertain {
                    error.class = ErrorClass::Transient;
                }
                Err(error)
            }
        };
        let result = result.map(|output| Outcome { output, ports: Vec::new() });
        Invoked { result, logs: Vec::new(), calls, state, journal }
    }

    async fn evaluate(&self, evaluation: Evaluation) -> Result<Vec<Json>, ExpressionError> {
        let less = |left: usize| left.checked_sub(1);
        if self.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return Err(ExpressionError {
                class: ErrorClass::Transient,
                index: 0,
                code: "evaluator-unavailable".into(),
                message: "all instances were busy".into(),
                position: None,
            });
        }
        // The tests' only jq: `true` and `false`.
        evaluation
            .expressions
            .iter()
            .enumerate()
            .map(|(index, text)| {
                Json::parse(text).map_err(|error| ExpressionError {
                    class: ErrorClass::InvalidInput,
                    index,
                    code: "expression-failed".into(),
                    message: error.to_string(),
                    position: Some(0),
                })
            })
            .collect()
    }

    async fn check(&self, _: Vec<String>) -> Result<Vec<ExpressionError>, StepError> {
        Ok(Vec::new())
    }
}

/// How an attempt ends that was held until it was cut off: what it did by then nobody knows.
fn interrupted(invocation: &Invocation) -> StepError {
    let class = match invocation.caller.effect {
        Effect::Unsafe => ErrorClass::UnknownOutcome,
        _ => ErrorClass::Transient,
    };
    StepError::new(class, INTERRUPTED, "cut off")
}

/// The other side's answer to that call.
fn created(at: u8) -> InboundResponse {
    let body = Bytes::copy_from_slice(&[at]);
    InboundResponse { status: StatusCode::CREATED, headers: HeaderMap::new(), body }
}

fn call() -> CallRecord {
    CallRecord {
        sequence: 0,
        method: "POST".into(),
        url: "https://api.example.com/deals".into(),
        request_headers: Vec::new(),
        request_body: None,
        request_hash: String::new(),
        idempotency_key: None,
        status: None,
        response_headers: Vec::new(),
        response_body: None,
        error: Some("the attempt ended before the answer came".into()),
        from_journal: false,
        started_at: Timestamp(0),
        duration_ms: 0,
    }
}
