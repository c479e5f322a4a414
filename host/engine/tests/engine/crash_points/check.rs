//! What has to hold, whenever the process died.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_core::ports::store::{
    Open, Opened, Page, Reading, RunFilter, RunLog, RunView, StepRow, WorkerId,
};
use tombolo_core::run::{RunState, StepState};

use super::shape::{Kind, Node, name};
use crate::support::Bench;

/// Outputs by node and item.
pub type Results = BTreeMap<(String, u32), String>;

pub fn results(view: &RunView) -> Results {
    let done = view.steps.iter().filter(|step| step.state == StepState::Succeeded);
    done.map(|step| {
        let output = step.output.as_ref().map_or_else(String::new, |json| json.text().to_owned());
        ((step.node.clone(), step.item), output)
    })
    .collect()
}

/// What has to hold of an ended run whose processes died so many times.
pub async fn ended(bench: &Bench, nodes: &[Node], view: &RunView, recorded: &Results, deaths: u32) {
    assert_ne!(view.run.state, RunState::Cancelled);
    let end = results(view);
    for (step, output) in recorded {
        assert_eq!(end.get(step), Some(output), "the result of {step:?} changed");
    }
    let open = view
        .steps
        .iter()
        .filter(|step| matches!(step.state, StepState::Running | StepState::Waiting));
    assert_eq!(open.count(), 0, "{:#?}", view.steps);
    for (at, node) in nodes.iter().enumerate() {
        match node.kind {
            Kind::Workflow | Kind::Publish => started(bench, view, at).await,
            _ => changes(bench, node, at, view, deaths),
        }
    }
}

/// Every attempt of a step has its one key, and the other side did each of its calls: once, or, where
/// that is safe, once more for a death.
fn changes(bench: &Bench, node: &Node, at: usize, view: &RunView, deaths: u32) {
    let (name, run) = (name(at), view.run.id);
    let attempts = bench.sandbox.attempts_of(&name, run);
    let keys: BTreeSet<&String> = attempts.iter().map(|(_, key)| key).collect();
    let items = match node.kind {
        Kind::Each(_, count) => usize::from(count),
        _ => 1,
    };
    assert!(keys.len() <= items, "{name} has {} keys", keys.len());
    let most = match node.kind {
        Kind::Pure | Kind::Read => u32::MAX,
        _ if node.is_unsafe() => 1,
        _ => 1 + deaths,
    };
    let mut done = 0;
    for ((_, of, _, place), times) in bench.sandbox.changes_of(run) {
        if of == name {
            assert!(place < u32::from(node.calls), "{name} made a call under another key");
            assert!(times <= most, "{name}: doubled, call {place} was made {times} times");
            done += 1;
        }
    }
    let succeeded = |step: &&StepRow| {
        step.node == name
            && step.state == StepState::Succeeded
            && (step.item > 0 || !matches!(node.kind, Kind::Each(..)))
    };
    let results = view.steps.iter().filter(succeeded).count();
    let expected = if node.attempts() { results * usize::from(node.calls) } else { 0 };
    assert!(done >= expected, "{name}: lost, {done} calls of {results} results");
}

/// What a node calls or publishes is started once.
async fn started(bench: &Bench, view: &RunView, at: usize) {
    let (name, key) = (name(at), &view.event.payload.value()["trigger"]["id"]);
    let filter = RunFilter { workflow: Some("child".into()), ..RunFilter::default() };
    let page = Page { after: None, limit: 1_000 };
    let mut count = 0;
    for summary in bench.store.runs(bench.tenant, &filter, page).await.unwrap() {
        let child = bench.store.run(bench.tenant, summary.run.id).await.unwrap().unwrap();
        let trigger = &child.event.payload.value()["trigger"];
        if trigger["id"] == *key && trigger["at"] == at {
            count += 1;
            let times = bench.sandbox.changes_of(child.run.id);
            assert!(times.iter().all(|(_, times)| *times <= 2), "{times:?}");
        }
    }
    let done =
        view.steps.iter().any(|step| step.node == name && step.state == StepState::Succeeded);
    assert!(count <= 1, "{name}: doubled, {count} runs");
    assert!(count == 1 || !done, "{name}: lost");
}

/// What a dead process has left: journals are there for steps only that have an attempt behind and
/// perhaps one before them, and what they say was done the other side knows of.
pub async fn left(bench: &Bench, nodes: &[Node], view: &RunView) {
    if view.run.state.ended() {
        return;
    }
    let now = bench.clock_now();
    bench.store.take_over(now).await.unwrap();
    let worker = WorkerId("who looks".into());
    let open = Open { tenant: bench.tenant, run: view.run.id, worker, now, until: now };
    let Opened::Run { run, .. } = bench.store.open(open).await.unwrap() else {
        panic!("{} cannot be opened", view.run.id);
    };
    let known = bench.sandbox.changes_of(view.run.id);
    for one in &run.journal {
        let step = run.steps.iter().find(|step| (&step.node, step.item) == (&one.node, one.item));
        let step = step.unwrap_or_else(|| panic!("a journal of no step: {one:?}"));
        assert_ne!(step.state, StepState::Succeeded, "{one:?}");
        assert!(step.attempt > 0, "{one:?}");
        let at = nodes.iter().enumerate().find(|(at, _)| name(*at) == one.node);
        let (_, node) = at.expect("a node of the workflow");
        assert!(one.entry.place < u32::from(node.calls), "{one:?}");
        let done =
            known.iter().any(|((_, of, _, place), _)| (of, place) == (&one.node, &one.entry.place));
        assert!(one.entry.failed() || done, "nobody did what stands in the journal: {one:?}");
    }
}
