//! Plans for tests of this folder.

use std::sync::Arc;

use serde_json::{Value, json};

use super::model::{Run, StepAt};
use super::progress::Failed;
use super::retry::Treatment;
use super::standing::Standing;
use super::state::{RunState, StepState};
use crate::clock::Timestamp;
use crate::error::{ErrorClass, StepError};
use crate::id::ContentHash;
use crate::ports::sandbox::Outcome;
use crate::workflow::{CatalogView, NodeIndex, Plan, compile};

pub(super) const NOW: Timestamp = Timestamp(1_000);

/// Only built-ins; effects and ports are set on the plan afterwards.
struct Empty;

impl CatalogView for Empty {
    fn plugin(&self, _: &str) -> Option<(ContentHash, &crate::descriptor::Descriptor)> {
        None
    }
    fn plugin_names(&self) -> Vec<&str> {
        Vec::new()
    }
    fn has_connection(&self, _: &str) -> bool {
        false
    }
    fn has_signing_secret(&self, _: &str) -> bool {
        false
    }
    fn connection_names(&self) -> Vec<&str> {
        Vec::new()
    }
    fn has_preset(&self, _: &str) -> bool {
        false
    }
    fn preset_names(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// A plan of these nodes; those that say nothing else use `set`.
pub(super) fn plan(nodes: Value) -> Plan {
    let mut nodes = nodes;
    for node in nodes.as_object_mut().unwrap().values_mut() {
        let fields = node.as_object_mut().unwrap();
        fields.entry("use").or_insert_with(|| json!("set"));
    }
    compile(&json!({"name": "w", "nodes": nodes}), &Empty).unwrap().plan
}

pub(super) fn run(plan: Plan) -> Run {
    Run::restore(Arc::new(plan), Vec::new()).unwrap()
}

pub(super) fn ready(run: &mut Run) -> Vec<String> {
    // Handed out again at the next call: these tests start what they like.
    let mut looked_at = run.clone();
    let ready = looked_at.ready(NOW).unwrap();
    looked_at.taken.clear();
    *run = looked_at;
    ready.into_iter().map(|at| run.node(at).name.clone()).collect()
}

pub(super) fn at(run: &Run, name: &str) -> NodeIndex {
    run.plan().index[name]
}

pub(super) fn start(run: &mut Run, name: &str) {
    let at = at(run, name);
    run.start(at, None, NOW).unwrap();
}

pub(super) fn succeed(run: &mut Run, name: &str, ports: &[&str]) {
    start(run, name);
    let at = at(run, name);
    let ports = ports.iter().map(|port| (*port).to_owned()).collect();
    run.succeed(at, Outcome { output: json!(name).into(), ports }, Vec::new(), NOW).unwrap();
}

pub(super) fn fail(run: &mut Run, name: &str, class: ErrorClass) -> Treatment {
    start(run, name);
    let at = at(run, name);
    let failed = Failed { judged: None, now: NOW, jitter: 1.0 };
    run.fail(at, StepError::new(class, "broken", "it broke"), Vec::new(), failed).unwrap()
}

pub(super) fn state(run: &Run, name: &str) -> StepState {
    run.step(at(run, name)).state
}

pub(super) fn end(run: &Run) -> RunState {
    match run.standing() {
        Standing::Ended { state, .. } => state,
        other => panic!("{other:?}"),
    }
}

/// A run of a plan whose first node is a list of so many items.
pub(super) fn expanded(plan: Plan, count: usize) -> Run {
    let mut run = run(plan);
    assert_eq!(run.ready(NOW).unwrap(), [StepAt::from(0)]);
    let list: Vec<usize> = (0..count).collect();
    run.expand(0, json!(list).into(), NOW).unwrap();
    run
}

pub(super) fn items(run: &mut Run) -> Vec<u32> {
    run.ready(NOW).unwrap().into_iter().map(|at| at.item).collect()
}

pub(super) fn item(number: u32) -> StepAt {
    StepAt { node: 0, item: number }
}

pub(super) fn done(run: &mut Run, number: u32) {
    run.start(item(number), None, NOW).unwrap();
    let outcome = Outcome { output: json!(number * 10).into(), ports: Vec::new() };
    run.succeed(item(number), outcome, Vec::new(), NOW).unwrap();
}

pub(super) fn broken(run: &mut Run, number: u32, class: ErrorClass) -> Treatment {
    run.start(item(number), None, NOW).unwrap();
    let failed = Failed { judged: None, now: NOW, jitter: 1.0 };
    run.fail(item(number), StepError::new(class, "broken", "it broke"), Vec::new(), failed).unwrap()
}
