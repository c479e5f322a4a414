//! Everything that the port shows of a tenant, as lines that can be compared.

use std::fmt::Debug;

use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::ports::egress::Connection;
use tombolo_core::ports::store::{
    Claim, Claimed, ClaimedRun, Cursor, LetterFilter, Page, RunFilter, RunView, Settle, StepRow,
    Store, Wanted,
};
use tombolo_core::run::RunState;

use crate::scene::{Home, ended, worker};

/// More than there are of anything.
const MANY: u32 = 1_000;

/// Times from which on a lease is as good as endless: what is copied is due when it is copied.
const LONG_AFTER: Timestamp = Timestamp(1_701_000_000_000);

/// What stands for U+0000 in PostgreSQL's text is written as that.
fn line(what: &str, of: &impl Debug) -> String {
    format!("{what}: {of:?}").replace('\u{2400}', "\\0")
}

/// All of it.
pub async fn everything(store: &dyn Store, home: Home) -> Vec<String> {
    let mut lines = catalog(store, home).await;
    let all = RunFilter::default();
    let runs = list(store, home, &all).await;
    for state in [RunState::Waiting, RunState::Failed, RunState::Cancelled, RunState::Running] {
        let filter = RunFilter { states: vec![state], ..RunFilter::default() };
        lines.push(line(state.name(), &list(store, home, &filter).await));
    }
    for run in &runs {
        let view = store.run(home.tenant, *run).await.unwrap().unwrap();
        lines.push(line("event", &store.event(home.tenant, view.event.id).await.unwrap()));
        let of = RunFilter {
            correlation_id: Some(view.run.correlation_id.clone()),
            ..RunFilter::default()
        };
        lines.push(line("correlated", &list(store, home, &of).await));
        lines.push(line("run", &sorted(view)));
        lines.push(line("calls", &store.calls(home.tenant, *run).await.unwrap()));
        let mut signals = store.signals(home.tenant, *run).await.unwrap();
        signals.sort_by_key(|signal| signal.step.clone());
        lines.push(line("signals", &signals));
    }
    let mut to_end = store.cancel_requested(&runs).await.unwrap();
    to_end.sort();
    lines.push(line("to end", &to_end));
    let mut signalled = store.signalled(&runs).await.unwrap();
    signalled.sort();
    lines.push(line("signalled", &signalled));
    for discarded in [false, true] {
        let filter = LetterFilter { discarded, ..LetterFilter::default() };
        let letters = store.letters(home.tenant, &filter, None, MANY).await.unwrap();
        lines.push(line("letters", &letters));
    }
    lines.push(line("audit", &store.audit(home.tenant, MANY, None).await.unwrap()));
    lines.push(line("state", &state(store, home).await));
    lines
}

async fn state(store: &dyn Store, home: Home) -> impl Debug {
    store.node_state(home.tenant, home.workflow, "poll", "cursor\u{0}").await.unwrap()
}

async fn catalog(store: &dyn Store, home: Home) -> Vec<String> {
    let mut lines = Vec::new();
    let plugins = store.plugins(home.tenant).await.unwrap();
    for plugin in &plugins {
        lines.push(line("component", &store.component(plugin.hash).await.unwrap()));
    }
    lines.push(line("plugins", &plugins));
    lines.push(line("versions", &store.workflow_versions(home.tenant, "deals").await.unwrap()));
    lines.push(line("live", &store.workflows(home.tenant).await.unwrap()));
    lines.push(line("connections", &store.connections(home.tenant).await.unwrap()));
    lines
}

/// The connections, with their secrets.
pub async fn connections(store: &dyn Store, home: Home) -> Vec<Connection> {
    let mut connections = store.connections(home.tenant).await.unwrap();
    for connection in &mut connections {
        if let Some(paused) = &mut connection.paused {
            paused.reason = paused.reason.replace('\u{2400}', "\0");
        }
    }
    connections
}

async fn list(store: &dyn Store, home: Home, filter: &RunFilter) -> Vec<RunId> {
    let mut runs: Vec<RunId> = Vec::new();
    loop {
        let after = runs.last().copied().map(Cursor);
        let page = Page { after, limit: MANY };
        let found = store.runs(home.tenant, filter, page).await.unwrap();
        if found.is_empty() {
            return runs;
        }
        runs.extend(found.iter().map(|summary| summary.run.id));
    }
}

fn sorted(mut view: RunView) -> RunView {
    sort(&mut view.steps);
    view.available_at = view.available_at.map(|at| at.min(LONG_AFTER));
    view
}

fn sort(steps: &mut [StepRow]) {
    steps.sort_by_key(StepRow::key);
}

/// Claims what is due again and again, and ends it, until nothing is due any more. Gives what was
/// claimed.
pub async fn go_on(store: &dyn Store, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let until = Timestamp(now.0 + 30_000);
        let wanted = Wanted::Due { suspects: 100 };
        let worker = worker("next");
        let claim = Claim { worker, limit: 100, now, until, held: Vec::new(), wanted, turns: None };
        let claimed = store.claim(claim).await.unwrap();
        if claimed.is_empty() {
            return lines;
        }
        let mut runs: Vec<ClaimedRun> = claimed.into_iter().map(readable).collect();
        // One claim takes them together, in no order.
        runs.sort_by_key(|run| run.run.id);
        for mut run in runs {
            sort(&mut run.steps);
            run.journal.sort_by_key(|call| (call.node.clone(), call.item, call.entry.place));
            lines.push(line("claimed", &run));
            end(store, run, now).await;
        }
    }
}

fn readable(claimed: Claimed) -> ClaimedRun {
    match claimed {
        Claimed::Run(run) => *run,
        Claimed::Damaged { reason, .. } => panic!("damaged: {reason}"),
    }
}

/// Ends a run with a step that its other steps are repeated in, so that it has another pack.
async fn end(store: &dyn Store, run: ClaimedRun, now: Timestamp) {
    let mut step = StepRow::pending("last", 0);
    step.output = Some(run.event.payload.clone());
    let mut settle = Settle::new(run.run.tenant, run.lease, ended(RunState::Succeeded), now);
    settle.steps = vec![step];
    settle.used = run.signals.into_iter().map(|signal| signal.step).collect();
    store.settle(settle).await.unwrap();
}
