//! `tombolo run replay`: new runs with the input of old ones.

use clap::{ArgGroup, Args};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tombolo_core::clock::Timestamp;
use tombolo_core::run::RunState;

use super::client::Client;
use super::run::{parse_key, quoted};
use super::run_view::sign;
use super::table::{Cell, table};
use super::terminal::{Terminal, harmless};
use super::time_input::time;
use super::{Ending, bulk, measure};

/// One run by its id, or those that match.
#[derive(Args)]
#[command(group = ArgGroup::new("which").args(["id", "workflow", "states"]).required(true).multiple(true))]
#[command(group = ArgGroup::new("begin").args(["from", "from_node"]).required(true))]
#[command(group = ArgGroup::new("many").args(["workflow", "states", "since", "until", "limit", "rate", "cursor"]).multiple(true).conflicts_with("id"))]
pub(super) struct ReplayArgs {
    /// Its id, `run_..`; without it, the runs that the options name.
    id: Option<String>,
    /// Where it begins: with the first step, or with the steps that did not succeed.
    #[arg(long, value_parser = ["start", "failed"])]
    from: Option<String>,
    /// It begins with this node, and everything after it runs again.
    #[arg(long, value_name = "NODE")]
    from_node: Option<String>,
    /// On which version: `same`, `latest`, or a number.
    #[arg(long, default_value = "same", value_parser = parse_version)]
    version: Version,
    /// Repeat effects although nobody knows whether they happened.
    #[arg(long)]
    repeat_unknown: bool,
    /// Only say what would be.
    #[arg(long)]
    dry_run: bool,
    /// For the record.
    #[arg(long)]
    reason: Option<String>,
    /// Makes it safe to send the same replay twice.
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    idempotency_key: Option<String>,
    /// Runs of this workflow.
    #[arg(long)]
    workflow: Option<String>,
    /// Runs in this state; several times. Without it, those that failed.
    #[arg(long = "state", value_name = "STATE", value_parser = [RunState::Succeeded.name(), RunState::Failed.name(), RunState::Cancelled.name()])]
    states: Vec<String>,
    /// Runs that were accepted at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Runs that were accepted before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// At most so many runs; 100 if left out.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: Option<u32>,
    /// At most so many runs a second; 10 if left out.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: Option<u32>,
    /// Where the runs before ended, as it says there.
    #[arg(long)]
    cursor: Option<String>,
}

/// A version as the API takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version(Value);

fn parse_version(text: &str) -> Result<Version, String> {
    if matches!(text, "same" | "latest") {
        return Ok(Version(text.into()));
    }
    let number = text.parse::<u32>().ok().filter(|number| *number > 0);
    number
        .map(|number| Version(number.into()))
        .ok_or_else(|| "expected `same`, `latest`, or a number counted from 1".to_owned())
}

/// What a replay does, as the API tells it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PlanView {
    version: u32,
    takes_over: Vec<String>,
    repeats: Vec<RepeatView>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RepeatView {
    node: String,
    uses: String,
    effect: String,
    was: String,
    items: Option<ItemsView>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ItemsView {
    again: u32,
    done: u32,
    unknown: u32,
}

/// Starts a replay, or many.
pub(super) async fn replay(
    args: &ReplayArgs,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let parts = match &args.id {
        Some(id) => vec!["runs", id, "replay"],
        None => vec!["runs", "replay"],
    };
    let request = client.request(Method::POST, client.address(&parts)).json(&args.body());
    let request = match &args.idempotency_key {
        Some(key) => request.header("idempotency-key", quoted(key)),
        None => request,
    };
    let answer = client.answer(request).await?;
    if args.id.is_none() {
        return bulk::show(&answer, terminal);
    }
    if terminal.json {
        terminal.print_json(&answer)?;
    } else {
        show(&answer, terminal)?;
    }
    Ok(Ending::Fine)
}

impl ReplayArgs {
    fn body(&self) -> Value {
        let from = match &self.from_node {
            Some(node) => json!({ "node": node }),
            None => json!(self.from),
        };
        let mut body = json!({
            "from": from,
            "version": self.version.0,
            "repeat_unknown": self.repeat_unknown,
            "dry_run": self.dry_run,
            "reason": self.reason,
        });
        if self.id.is_some() {
            return body;
        }
        let mut filter = json!({});
        if !self.states.is_empty() {
            filter["states"] = json!(self.states);
        }
        for (name, value) in [
            ("workflow", json!(self.workflow)),
            ("since", json!(self.since)),
            ("until", json!(self.until)),
        ] {
            filter[name] = value;
        }
        body["filter"] = filter;
        for (name, value) in [
            ("limit", json!(self.limit)),
            ("rate", json!(self.rate)),
            ("cursor", json!(self.cursor)),
        ] {
            body[name] = value;
        }
        body
    }
}

/// The new run's id alone on standard output; everything else is a remark. Of a dry run, the plan is
/// the answer.
fn show(answer: &Value, terminal: &mut Terminal) -> anyhow::Result<()> {
    let plan: PlanView = serde_json::from_value(answer.clone())?;
    let text = told(&plan, terminal);
    match answer["run"].as_str() {
        Some(run) => {
            terminal.print(&harmless(run))?;
            terminal.note(&text)?;
        }
        None => terminal.print(&text)?,
    }
    Ok(())
}

fn told(plan: &PlanView, terminal: &Terminal) -> String {
    let takes_over = match plan.takes_over.is_empty() {
        true => "nothing".to_owned(),
        false => harmless(&plan.takes_over.join(", ")),
    };
    let mut text = format!("version {}, takes over: {takes_over}", plan.version);
    if plan.repeats.is_empty() {
        return text + "\nno effect happens again";
    }
    let effects = measure::count(plan.repeats.len(), "effect");
    text.push_str(&format!("\n{effects} again:\n"));
    let mut head = vec!["NODE", "USES", "EFFECT", "WAS"];
    let mut rows: Vec<Vec<Cell>> = plan.repeats.iter().map(row).collect();
    if plan.repeats.iter().any(|repeat| repeat.items.is_some()) {
        head.push("ITEMS");
        for (row, repeat) in rows.iter_mut().zip(&plan.repeats) {
            row.push(Cell::from(repeat.items.as_ref().map(items).unwrap_or_default()));
        }
    }
    text + &table(&head, &rows, terminal.style)
}

fn row(repeat: &RepeatView) -> Vec<Cell> {
    let (mark, colour) = sign(&repeat.was);
    vec![
        Cell::from(harmless(&repeat.node)),
        Cell::from(harmless(&repeat.uses)),
        Cell::from(harmless(&repeat.effect)),
        Cell::painted(format!("{mark} {}", harmless(&repeat.was)), colour),
    ]
}

fn items(ItemsView { again, done, unknown }: &ItemsView) -> String {
    let text = format!("{again} again, {done} done");
    if *unknown == 0 { text } else { format!("{text}, {unknown} unknown") }
}

#[cfg(test)]
mod tests {
    use super::{Version, parse_version};
    use serde_json::json;

    #[test]
    fn a_version_is_a_word_or_a_number() {
        assert_eq!(parse_version("latest"), Ok(Version(json!("latest"))));
        assert_eq!(parse_version("7"), Ok(Version(json!(7))));
        for wrong in ["", "old", "0", "-1", "1.5"] {
            assert!(parse_version(wrong).is_err(), "{wrong}");
        }
    }
}
