//! `tombolo run explain|redrive|resolve|signal`: why a run does not go on, and what lets it.

use clap::{ArgGroup, Args};
use serde::Deserialize;
use serde_json::{Value, json};
use tombolo_core::clock::Timestamp;

use super::client::Client;
use super::run_view::sign;
use super::table::{Cell, table};
use super::terminal::{Terminal, harmless, one_line};
use super::{Ending, json_input, measure};

/// Longest reason of a step in the list, in characters.
const MAX_WHY: usize = 120;

#[derive(Args)]
pub(super) struct RedriveArgs {
    /// Its id, `run_..`.
    id: String,
    /// Only the step of this node; without it, every dead step.
    #[arg(long)]
    node: Option<String>,
    /// Position among the items of a for-each node.
    #[arg(long, requires = "node")]
    item: Option<u32>,
    /// What to run the step with instead of its input: JSON, `@file`, or `-` for standard input.
    #[arg(long, value_name = "JSON", requires = "node")]
    input: Option<String>,
    #[command(flatten)]
    how: How,
}

/// How steps try again.
#[derive(Args)]
pub(super) struct How {
    /// Make the calls again that succeeded in earlier attempts, under new idempotency keys.
    #[arg(long)]
    pub(super) forget_calls: bool,
    /// Repeat unsafe calls whose outcome nobody knows.
    #[arg(long)]
    pub(super) repeat_unknown: bool,
    /// For the record.
    #[arg(long)]
    pub(super) reason: Option<String>,
}

/// Names a step.
#[derive(Args)]
pub(super) struct StepArgs {
    /// The run, `run_..`.
    pub(super) id: String,
    /// The node.
    pub(super) node: String,
    /// Position among the items of a for-each node.
    #[arg(long, default_value_t = 0)]
    pub(super) item: u32,
}

#[derive(Args)]
pub(super) struct ResolveArgs {
    #[command(flatten)]
    step: StepArgs,
    /// What the step gave: JSON, `@file`, or `-` for standard input.
    #[arg(long, value_name = "JSON")]
    output: String,
    /// For the record.
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Args)]
#[command(group = ArgGroup::new("decision").args(["approve", "reject"]))]
pub(super) struct SignalArgs {
    /// The run, `run_..`.
    id: String,
    /// The `callback` or `approval` node.
    node: String,
    /// What a `callback` node gives: JSON, `@file`, or `-` for standard input. Without it, `null`.
    #[arg(long, value_name = "JSON", conflicts_with = "decision")]
    body: Option<String>,
    /// Approve, at an `approval` node.
    #[arg(long)]
    approve: bool,
    /// Reject, at an `approval` node.
    #[arg(long)]
    reject: bool,
    /// Why it is approved or rejected.
    #[arg(long, requires = "decision")]
    reason: Option<String>,
}

/// Lets dead steps try again.
pub(super) async fn redrive(
    args: &RedriveArgs,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let input = args.input.as_deref().map(|text| json_input::read("--input", text)).transpose()?;
    let mut body = json!({
        "forget_calls": args.how.forget_calls,
        "repeat_unknown": args.how.repeat_unknown,
        "reason": args.how.reason,
    });
    for (name, value) in [
        ("node", args.node.clone().map(Value::from)),
        ("item", args.item.map(Value::from)),
        ("input", input),
    ] {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    let answer = client.post(&["runs", &args.id, "redrive"], &body).await?;
    let steps = answer["steps"].as_array().map_or(0, Vec::len);
    let steps = measure::count(steps, "step");
    said(&answer, &format!("{} goes on: {steps} try again", args.id), terminal)
}

/// Says what a step gave.
pub(super) async fn resolve(
    args: &ResolveArgs,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let output = json_input::read("--output", &args.output)?;
    let StepArgs { id, node, item } = &args.step;
    let body = json!({ "item": item, "output": output, "reason": args.reason });
    let answer = client.post(&["runs", id, "steps", node, "resolve"], &body).await?;
    said(&answer, &format!("{id} goes on behind {node}"), terminal)
}

/// Lets a node go on that waits for somebody.
pub(super) async fn signal(
    args: &SignalArgs,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let body = match (args.approve, args.reject, &args.body) {
        (true, ..) => json!({ "decision": "approved", "reason": args.reason }),
        (_, true, _) => json!({ "decision": "rejected", "reason": args.reason }),
        (.., Some(text)) => json_input::read("--body", text)?,
        (.., None) => Value::Null,
    };
    let answer = client.post(&["runs", &args.id, "steps", &args.node, "signal"], &body).await?;
    said(&answer, &format!("{} of {} has its answer", args.node, args.id), terminal)
}

/// Says that it is done, or prints what the server said.
pub(super) fn said(answer: &Value, words: &str, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    if terminal.json {
        terminal.print_json(answer)?;
    } else {
        terminal.print(&harmless(words))?;
    }
    Ok(Ending::Fine)
}

/// An explanation as the API tells it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Explained {
    run: String,
    state: String,
    why: Why,
    steps: Vec<StepExplained>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StepExplained {
    node: String,
    item: u32,
    state: String,
    why: Why,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Why {
    message: String,
    until: Option<Timestamp>,
    action: Option<String>,
}

/// Says why a run is where it is.
pub(super) async fn explain(
    id: &str,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let answer = client.get(&["runs", id, "explain"]).await?;
    if terminal.json {
        terminal.print_json(&answer)?;
        return Ok(Ending::Fine);
    }
    let explained: Explained = serde_json::from_value(answer)?;
    let (mark, colour) = sign(&explained.state);
    let state = terminal.style.paint(colour, &format!("{mark} {}", harmless(&explained.state)));
    let why = &explained.why;
    terminal.print(&format!("{}  {state}\n{}", harmless(&explained.run), words(why)))?;
    if let Some(action) = &why.action {
        terminal.print(&format!("what to do: {}", harmless(action)))?;
    }
    if explained.steps.is_empty() {
        return Ok(Ending::Fine);
    }
    let rows: Vec<Vec<Cell>> = explained.steps.iter().map(row).collect();
    terminal.print("")?;
    terminal.print(&table(&["STEP", "STATE", "WHY"], &rows, terminal.style))?;
    for step in &explained.steps {
        if let Some(action) = &step.why.action {
            terminal.print(&format!("{}: {}", named(step), harmless(action)))?;
        }
    }
    Ok(Ending::Fine)
}

fn words(why: &Why) -> String {
    let until = why.until.map(|until| format!(" (until {})", measure::time(until)));
    format!("{}{}", harmless(&why.message), until.unwrap_or_default())
}

fn named(step: &StepExplained) -> String {
    match step.item {
        0 => harmless(&step.node),
        item => format!("{}[{item}]", harmless(&step.node)),
    }
}

fn row(step: &StepExplained) -> Vec<Cell> {
    let (mark, colour) = sign(&step.state);
    vec![
        Cell::from(named(step)),
        Cell::painted(format!("{mark} {}", harmless(&step.state)), colour),
        Cell::from(one_line(&words(&step.why), MAX_WHY)),
    ]
}
