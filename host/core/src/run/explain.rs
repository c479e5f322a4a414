//! Why a run and its steps are not moving: in words, with what to do.

use std::collections::BTreeMap;

use serde::Serialize;

use super::model::{Run, StepAt};
use super::standing::is_postponed;
use super::state::{RunState, StepState};
use crate::clock::Timestamp;
use crate::error::ErrorClass;
use crate::id::RunId;
use crate::ports::egress::Paused;
use crate::ports::store::{RunRow, StepRow};
use crate::workflow::{Builtin, NodeIndex};

/// What is known beside the run itself.
#[derive(Debug, Clone)]
pub struct Surroundings<'a> {
    /// The run's row.
    pub row: &'a RunRow,
    /// When the queue has it due: for a run that is worked on, when its lease ends.
    pub available_at: Option<Timestamp>,
    /// Its connections that are paused, by name.
    pub paused: &'a BTreeMap<String, Paused>,
    /// Now.
    pub now: Timestamp,
}

/// Why a run is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub state: RunState,
    /// Why.
    pub why: Why,
    /// Steps that have not come to a good end, in the plan's order; of a for-each node the items
    /// that have begun, at most [`MAX_ITEMS_EXPLAINED`].
    pub steps: Vec<StepWhy>,
}

/// A reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// Stable and kebab-case, for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
    /// When it moves by itself, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What a person can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

/// Why one step is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepWhy {
    /// The node.
    pub node: String,
    /// 0 for the node itself; items are counted from 1.
    pub item: u32,
    /// Where it stands.
    pub state: StepState,
    /// Why.
    pub why: Why,
}

/// The code of a step that starts later because the host has too much to do.
const HOST_BUSY: &str = "host-busy";

/// Items of one list that are explained one by one.
pub const MAX_ITEMS_EXPLAINED: usize = 20;

impl Why {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), until: None, action: None }
    }

    fn until(mut self, time: Option<Timestamp>) -> Self {
        self.until = time;
        self
    }

    fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }
}

/// Explains a run.
pub fn explain(run: &Run, around: &Surroundings<'_>) -> Explanation {
    let steps: Vec<StepWhy> = run.places_explained().map(|at| run.why(at, around)).collect();
    let steps: Vec<StepWhy> = steps.into_iter().filter(|step| !is_good_end(step.state)).collect();
    let row = around.row;
    let waits = run.first_waiting().map(|at| run.why(at, around).why);
    Explanation { run: row.id, state: row.state, why: why_run(around, waits), steps }
}

/// Explains a run whose workflow version cannot be run any more: nothing is known of its steps.
pub fn explain_unusable(row: &RunRow, code: &'static str, message: &str) -> Explanation {
    let why =
        Why::new(code, format!("its workflow version cannot be run: {message}")).action(format!(
            "apply a version that can be run, then: tombolo run replay {} --version latest",
            row.id
        ));
    Explanation { run: row.id, state: row.state, why, steps: Vec::new() }
}

fn is_good_end(state: StepState) -> bool {
    matches!(state, StepState::Succeeded | StepState::Skipped)
}

fn why_run(around: &Surroundings<'_>, waits: Option<Why>) -> Why {
    let (row, due) = (around.row, around.available_at);
    match row.state {
        RunState::Succeeded => Why::new("ended", "it has succeeded"),
        RunState::Cancelled => Why::new("ended", "it was cancelled, or its time was up"),
        RunState::Failed => {
            let message = match &row.error {
                Some(error) => format!("it has failed: {}", error.message),
                None => "it has failed".to_owned(),
            };
            let letters = format!(
                "see its steps; what is dead is redriven (tombolo run redrive {}), what is unknown is \
                 looked up first",
                row.id
            );
            Why::new("failed", message).action(letters)
        }
        _ if row.cancel_requested => Why::new(
            "cancel-requested",
            "somebody asked for its end; it ends as soon as a worker has it",
        )
        .until(due.filter(|due| *due > around.now)),
        RunState::Queued if waits_for_place(around) => Why::new(
            "waits-for-place",
            "other runs have the places that it needs (the workflow's `limits`); it goes on when one \
             of them ends",
        )
        .action("look at those that go: tombolo run list"),
        RunState::Queued if due.is_some_and(|due| due > around.now) => {
            Why::new("waits-for-time", "it starts later (the workflow's `limits`)").until(due)
        }
        RunState::Queued => Why::new(
            "queued",
            "it waits for a free worker; if that lasts, the host is busy with other runs \
             (setting engine.concurrent_runs)",
        )
        .until(due),
        RunState::Running => match due.filter(|lease_end| *lease_end <= around.now) {
            Some(lease_end) => {
                let message = "its worker has not been heard of since its lease ended; another one \
                               takes it over";
                Why::new("worker-lost", message).until(Some(lease_end))
            }
            None => Why::new("running", "a worker has it; see its steps").until(due),
        },
        RunState::Waiting => match waits {
            Some(why) => Why { until: due.filter(|due| *due > around.now), ..why },
            None => Why::new("waiting", "it waits").until(due),
        },
    }
}

/// A run that waits for a place is due at its deadline at the earliest, to be ended.
fn waits_for_place(around: &Surroundings<'_>) -> bool {
    around.available_at.is_none_or(|due| due > around.now && Some(due) == around.row.deadline)
}

impl Run {
    /// The step that tells best what the run waits for: of a list, the item and not the node.
    fn first_waiting(&self) -> Option<StepAt> {
        let waits = |at: &StepAt| {
            let step = self.step(*at);
            step.state == StepState::Waiting || is_postponed(step)
        };
        let is_list = |at: &StepAt| !at.is_item() && self.items.contains_key(&at.node);
        let waiting = || self.places().filter(waits);
        waiting().find(|at| !is_list(at)).or_else(|| waiting().next())
    }

    fn places_explained(&self) -> impl Iterator<Item = StepAt> + '_ {
        let mut shown: BTreeMap<NodeIndex, usize> = BTreeMap::new();
        self.places().filter(move |at| {
            if !at.is_item() {
                return true;
            }
            let step = self.step(*at);
            let began = step.attempt > 0 && !is_good_end(step.state);
            let count = shown.entry(at.node).or_default();
            *count += usize::from(began);
            began && *count <= MAX_ITEMS_EXPLAINED
        })
    }

    fn why(&self, at: StepAt, around: &Surroundings<'_>) -> StepWhy {
        let step = self.step(at);
        let why = match step.state {
            StepState::Pending => self.why_pending(at),
            StepState::Running => {
                Why::new("under-way", format!("attempt {} is under way", step.attempt))
                    .until(step.started_at.map(|started| started.plus(self.node(at).timeout)))
            }
            StepState::Waiting => self.why_waiting(at, around),
            StepState::Dead => self.why_dead(at, around.row.id),
            StepState::Unknown => {
                Why::new("outcome-unknown", "nobody knows whether its unsafe call took effect")
                    .action(self.action_unknown(at, around.row.id))
            }
            StepState::Cancelled => Why::new("cancelled", "the run was ended before it was done"),
            StepState::Succeeded => Why::new("done", "it is done"),
            StepState::Skipped => Why::new("skipped", "it was not needed"),
        };
        StepWhy { node: step.node.clone(), item: step.item, state: step.state, why }
    }

    /// True for a list that has its items: these are what is repaired.
    fn has_items(&self, at: StepAt) -> bool {
        !at.is_item() && self.items.contains_key(&at.node)
    }

    fn why_dead(&self, at: StepAt, run: RunId) -> Why {
        let step = self.step(at);
        let said = step.error.as_ref().map_or("it failed", |error| error.message.as_str());
        let which = which(step);
        let input = if self.has_items(at) { "" } else { " (with --input for another input)" };
        Why::new("dead", format!("after {} attempt(s): {said}", step.attempt)).action(format!(
            "mend the cause, then: tombolo run redrive {run} --node {which}{input}"
        ))
    }

    fn action_unknown(&self, at: StepAt, run: RunId) -> String {
        if self.has_items(at) {
            return "look its items up at the other side, and resolve or redrive each of them"
                .to_owned();
        }
        let which = which(self.step(at));
        format!(
            "look it up at the other side, then: tombolo run resolve {run} {which} --output .., or \
             tombolo run redrive {run} --node {which} --repeat-unknown"
        )
    }

    fn why_pending(&self, at: StepAt) -> Why {
        let (node, step) = (self.node(at), self.step(at));
        if is_postponed(step) {
            let said = step.error.as_ref().map_or("", |error| error.message.as_str());
            let message = format!("the host is too busy for it; no attempt is spent: {said}");
            return Why::new(HOST_BUSY, message)
                .until(step.due_at)
                .action("if it lasts: more `sandbox.instances`, or fewer runs at a time");
        }
        let stands = |wanted: &dyn Fn(StepState) -> bool| -> Vec<&str> {
            let before = node.inputs.iter().map(|edge| self.step(edge.from));
            before.filter(|step| wanted(step.state)).map(|step| step.node.as_str()).collect()
        };
        let broken = stands(&|state| matches!(state, StepState::Dead | StepState::Unknown));
        if !broken.is_empty() {
            let message = format!("it needs `{}`, which did not succeed", broken.join("`, `"));
            return Why::new("blocked-by-failure", message);
        }
        let open = stands(&|state| !state.ended());
        if open.is_empty() {
            return Why::new("next", "it starts as soon as a worker has the run");
        }
        Why::new("after-others", format!("it comes after `{}`", open.join("`, `")))
    }

    fn why_waiting(&self, at: StepAt, around: &Surroundings<'_>) -> Why {
        let (node, step) = (self.node(at), self.step(at));
        if let (Some(items), false) = (self.items.get(&at.node), at.is_item()) {
            let done = items.rows().filter(|row| row.state.ended()).count();
            let message = format!("{done} of its {} items are done", items.count());
            return Why::new("items", message);
        }
        match node.builtin() {
            Some(Builtin::Wait) => {
                return Why::new("time", "it waits for a time").until(step.due_at);
            }
            Some(Builtin::Callback) => {
                return Why::new(
                    "callback",
                    "it waits for a call of its address, until it expires",
                )
                .until(step.due_at);
            }
            Some(Builtin::Approval) => {
                return Why::new("approval", "it waits for a decision, until it expires")
                    .until(step.due_at)
                    .action("approve or reject it at its address");
            }
            Some(Builtin::Workflow) => {
                let child = step.child.map(|child| child.to_string()).unwrap_or_default();
                return Why::new("called-run", format!("it waits for the end of {child}"))
                    .action(format!("tombolo run explain {child}"));
            }
            Some(Builtin::Set | Builtin::Respond | Builtin::Publish) | None => {}
        }
        self.why_retry(step, node.connection.as_deref(), around)
    }

    fn why_retry(
        &self,
        step: &StepRow,
        connection: Option<&str>,
        around: &Surroundings<'_>,
    ) -> Why {
        let error = step.error.as_ref();
        let class = error.map(|error| error.class);
        let said = error.map(|error| error.message.clone()).unwrap_or_default();
        match (class, connection) {
            (Some(ErrorClass::Auth), Some(name)) if step.due_at.is_none() => {
                let since = around.paused.get(name).map(|paused| paused.at);
                let since = since.map(|at| format!(" since {at}")).unwrap_or_default();
                let message = format!("the connection `{name}` is paused{since}: {said}");
                let action = format!(
                    "set new credentials: tombolo connection set {name} .., or let it go on as it \
                     is: tombolo connection resume {name}"
                );
                Why::new("connection-paused", message).action(action)
            }
            (Some(ErrorClass::RateLimited), _) => {
                Why::new("rate-limited", format!("the other side asks to wait: {said}"))
                    .until(step.due_at)
            }
            _ => {
                let message =
                    format!("attempt {} failed, another one follows: {said}", step.attempt);
                Why::new("retry", message).until(step.due_at)
            }
        }
    }
}

/// The step, as the command line takes it.
fn which(step: &StepRow) -> String {
    match step.item {
        0 => step.node.clone(),
        item => format!("{} --item {item}", step.node),
    }
}
