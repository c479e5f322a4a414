//! A run drawn as a tree: its nodes with state, duration, attempts, ports and errors.

use serde_json::Value;

use super::measure;
use super::run_view::{ErrorView, RunView, StepView, sign};
use super::shape::{self, Branch, ShapeNode};
use super::table::{self, Cell};
use super::terminal::{Colour, Style, harmless, one_line};

/// Longest error, input, output or log line that is shown, in characters.
const MAX_SHOWN: usize = 400;

/// Items of a for-each node that are shown one by one; the others are counted.
const MAX_ITEMS: usize = 20;

/// How much is said about each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// A line, and another one for an error.
    Lines,
    /// Input, output, logs and calls, too.
    Everything,
}

/// Draws the run. Without a definition its steps stand below each other.
pub(super) fn render(
    run: &RunView,
    definition: Option<&Value>,
    detail: Detail,
    style: Style,
) -> String {
    let nodes = all_nodes(run, definition);
    let branches = shape::tree(&nodes);
    let mut rows = Vec::new();
    let mut notes: Vec<Vec<String>> = Vec::new();
    for (at, branch) in branches.iter().enumerate() {
        let node = &nodes[branch.node];
        let steps: Vec<&StepView> =
            run.steps.iter().filter(|step| step.node == node.name).collect();
        let has_children =
            branches.get(at + 1).is_some_and(|next| next.lead.len() > branch.lead.len());
        let lead = if has_children {
            format!("{}│  ", branch.below)
        } else {
            format!("{}   ", branch.below)
        };
        rows.push(row(branch, node, &steps));
        notes.push(
            remarks(&steps, detail, style).iter().map(|note| format!("{lead}{note}")).collect(),
        );
    }
    let mut text = head(run, style);
    for (line, notes) in table::align(&rows, style).iter().zip(notes) {
        text.push('\n');
        text.push_str(line);
        for note in notes {
            text.push('\n');
            text.push_str(&note);
        }
    }
    text.push_str(&tail(run, style));
    text
}

/// The nodes of the definition, and those that only the steps know.
fn all_nodes(run: &RunView, definition: Option<&Value>) -> Vec<ShapeNode> {
    let mut nodes = definition.map(shape::nodes).unwrap_or_default();
    for step in &run.steps {
        if !nodes.iter().any(|node| node.name == step.node) {
            nodes.push(ShapeNode {
                name: step.node.clone(),
                uses: String::new(),
                connection: None,
                after: Vec::new(),
            });
        }
    }
    nodes
}

fn head(run: &RunView, style: Style) -> String {
    let (sign, colour) = sign(&run.state);
    let mut text = format!(
        "{} {} v{}   {}",
        harmless(&run.id),
        style.paint(Colour::Bold, &harmless(&run.workflow)),
        run.version,
        style.paint(colour, &format!("{sign} {}", harmless(&run.state))),
    );
    if let Some(ms) = run.duration_ms {
        text.push_str(&format!("   {}", measure::duration(ms)));
    }
    text
}

fn row(branch: &Branch, node: &ShapeNode, steps: &[&StepView]) -> Vec<Cell> {
    let state = overall(steps);
    let (sign, colour) = sign(state);
    let duration = steps.iter().filter_map(|step| step.duration_ms).max();
    vec![
        Cell::from(format!("{}{}", branch.lead, harmless(&node.name))),
        Cell::painted(harmless(&node.uses), Colour::Dim),
        Cell::painted(format!("{sign} {}", harmless(state)), colour),
        Cell::from(duration.map(|ms| format!("{:>8}", measure::duration(ms))).unwrap_or_default()),
        Cell::from(facts(steps, &branch.also_after).join("   ")),
    ]
}

/// The state of a node: of its only step, or of the worst of its items.
fn overall<'a>(steps: &[&'a StepView]) -> &'a str {
    const WORST_FIRST: [&str; 8] =
        ["dead", "unknown", "running", "waiting", "pending", "cancelled", "succeeded", "skipped"];
    let rank = |state: &str| WORST_FIRST.iter().position(|known| *known == state);
    let states = steps.iter().map(|step| step.state.as_str());
    states.min_by_key(|state| rank(state).unwrap_or(0)).unwrap_or("pending")
}

/// What else there is to say in the node's line.
fn facts(steps: &[&StepView], also_after: &[String]) -> Vec<String> {
    let mut facts = Vec::new();
    match steps {
        [step] => {
            if step.attempt > 1 {
                facts.push(measure::count(step.attempt as usize, "attempt"));
            }
            if !step.ports.is_empty() {
                facts.push(format!("→ {}", harmless(&step.ports.join(", "))));
            }
            if let Some(due) = step.due_at.filter(|_| step.state == "waiting") {
                facts.push(format!("due {}", measure::time(due)));
            }
        }
        [] => {}
        list => {
            let items = || list.iter().filter(|step| step.item > 0);
            let good = items().filter(|step| step.state == "succeeded").count();
            facts.push(format!("{good} of {} succeeded", measure::count(items().count(), "item")));
        }
    }
    if !also_after.is_empty() {
        facts.push(format!("also after {}", also_after.join(", ")));
    }
    facts
}

/// The lines below a node's line. Of a list, item 0 is the node itself, whose line it is.
fn remarks(steps: &[&StepView], detail: Detail, style: Style) -> Vec<String> {
    let many = steps.len() > 1;
    let worth = |step: &&&StepView| {
        let of_the_node = many && step.item == 0;
        let went_wrong = step.error.is_some() || many && step.state != "succeeded";
        detail == Detail::Everything || went_wrong && !of_the_node
    };
    let shown: Vec<&&StepView> = steps.iter().filter(worth).collect();
    let mut lines = Vec::new();
    for step in shown.iter().take(MAX_ITEMS) {
        if step.item > 0 {
            let (sign, colour) = sign(&step.state);
            let state = style.paint(colour, &format!("{sign} {}", harmless(&step.state)));
            lines.push(format!("[{}] {state}", step.item));
        }
        lines.extend(step.error.as_ref().map(|error| complaint(error, style)));
        if detail == Detail::Everything {
            everything(step, style, &mut lines);
        }
    }
    if shown.len() > MAX_ITEMS {
        lines.push(format!("and {} more", shown.len() - MAX_ITEMS));
    }
    lines
}

fn complaint(error: &ErrorView, style: Style) -> String {
    let text = format!("! {}: {}", error.code, error.message);
    style.paint(Colour::Red, &one_line(&text, MAX_SHOWN))
}

fn everything(step: &StepView, style: Style, lines: &mut Vec<String>) {
    let mut line = |name: &str, text: &str| {
        let name = style.paint(Colour::Dim, &format!("{name:<6}"));
        lines.push(format!("{name} {}", one_line(text, MAX_SHOWN)));
    };
    if let Some(input) = &step.input {
        line("input", &input.to_string());
    }
    for call in &step.calls {
        let answer = match (call.status, &call.error) {
            (Some(status), _) => status.to_string(),
            (None, Some(error)) => error.clone(),
            (None, None) => "no answer".to_owned(),
        };
        let time = call.duration_ms.map(|ms| format!(", {}", measure::duration(ms)));
        line(
            "call",
            &format!("{} {} → {answer}{}", call.method, call.url, time.unwrap_or_default()),
        );
    }
    for log in &step.logs {
        line("log", &format!("{}: {}", log.level, log.message));
    }
    if let Some(output) = &step.output {
        line("output", &output.to_string());
    }
}

/// What the run answered, and its error if no step shows it.
fn tail(run: &RunView, style: Style) -> String {
    let shown =
        |error: &&ErrorView| run.steps.iter().any(|step| step.error.as_ref() == Some(*error));
    let mut text = String::new();
    if let Some(error) = run.error.as_ref().filter(|error| !shown(error)) {
        text.push('\n');
        text.push_str(&complaint(error, style));
    }
    if let Some(output) = run.output.as_ref().filter(|output| !output.is_null()) {
        let output = one_line(&output.to_string(), MAX_SHOWN);
        text.push_str(&format!("\n{} {output}", style.paint(Colour::Dim, "output")));
    }
    text
}

#[cfg(test)]
mod tests;
