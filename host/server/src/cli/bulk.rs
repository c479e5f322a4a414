//! What the server says of many runs that were repaired or repeated in one request.

use serde::Deserialize;
use serde_json::Value;

use super::Ending;
use super::table::{Cell, table};
use super::terminal::{Colour, Terminal, harmless, one_line};

/// Longest remark of a run in the list, in characters.
const MAX_REMARK: usize = 100;

/// The answer, as far as people are shown it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Many {
    dry_run: bool,
    runs: Vec<One>,
    refused: usize,
    more: bool,
    next: Option<String>,
    stopped: Option<Stopped>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct One {
    run: String,
    workflow: String,
    outcome: String,
    steps: Vec<Step>,
    more_steps: bool,
    ended: Option<String>,
    new: Option<String>,
    plan: Value,
    problem: Option<Refused>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Step {
    node: String,
    item: u32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refused {
    detail: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Stopped {
    code: String,
    message: String,
}

/// Shows the answer. Fine if every run was done.
pub(super) fn show(answer: &Value, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let many: Many = serde_json::from_value(answer.clone())?;
    if terminal.json {
        terminal.print_json(answer)?;
        return Ok(many.ending());
    }
    let rows: Vec<Vec<Cell>> = many.runs.iter().map(row).collect();
    terminal.print(&table(&["RUN", "WORKFLOW", "OUTCOME", ""], &rows, terminal.style))?;
    if let Some(stopped) = &many.stopped {
        terminal.note(&format!("stopped: {}", harmless(&stopped.message)))?;
    }
    if many.dry_run {
        terminal.note("nothing was done: this was a dry run")?;
    }
    match &many.next {
        Some(next) => terminal.note(&format!("there are more: --cursor {}", harmless(next)))?,
        None if many.more => terminal.note("there are more: type it again, or raise --limit")?,
        None => {}
    }
    Ok(many.ending())
}

impl Many {
    fn ending(&self) -> Ending {
        match &self.stopped {
            Some(stopped) if stopped.code == "canary-failed" => Ending::RunFailed,
            Some(_) => Ending::Wrong,
            None if self.refused > 0 => Ending::Wrong,
            None => Ending::Fine,
        }
    }
}

fn row(run: &One) -> Vec<Cell> {
    let colour = match run.outcome.as_str() {
        "refused" => Colour::Red,
        "not-tried" => Colour::Dim,
        _ => Colour::Green,
    };
    vec![
        Cell::from(harmless(&run.run)),
        Cell::from(harmless(&run.workflow)),
        Cell::painted(harmless(&run.outcome), colour),
        Cell::from(one_line(&remark(run), MAX_REMARK)),
    ]
}

fn remark(run: &One) -> String {
    if let Some(problem) = &run.problem {
        return problem.detail.clone();
    }
    let mut parts = Vec::new();
    parts.extend(run.new.as_ref().map(|new| format!("→ {new}")));
    parts.extend(run.ended.as_ref().map(|state| format!("{state},")));
    let repeats = run.plan["repeats"].as_array().map_or(0, Vec::len);
    if repeats > 0 {
        parts.push(format!("{} again", super::measure::count(repeats, "effect")));
    }
    parts.extend(run.steps.iter().map(|step| match step.item {
        0 => step.node.clone(),
        item => format!("{}[{item}]", step.node),
    }));
    if run.more_steps {
        parts.push("…".to_owned());
    }
    parts.join(" ")
}
