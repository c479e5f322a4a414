//! `tombolo dead-letter`: steps that wait for a person.

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};
use tombolo_core::clock::Timestamp;

use super::client::Client;
use super::run_repair::{How, ResolveArgs, StepArgs, resolve, said};
use super::run_view::{CallView, ErrorView, StepView, sign};
use super::table::{Cell, table};
use super::terminal::{Terminal, harmless, one_line};
use super::time_input::time;
use super::{Ending, Usage, bulk, measure};

/// Longest error in the list, in characters.
const MAX_ERROR: usize = 80;
/// Longest input that is shown, in characters.
const MAX_INPUT: usize = 2_000;

#[derive(Subcommand)]
pub(super) enum LetterCommand {
    /// List them, those of the newest runs first.
    List(ListArgs),
    /// Show one with its step and its calls.
    Show(StepArgs),
    /// Let the steps of many runs try again: every dead step of the runs that match.
    Redrive(RedriveArgs),
    /// Give one up: it waits no more, and its run stays failed.
    Discard {
        #[command(flatten)]
        step: StepArgs,
        /// Why; it goes on record.
        #[arg(long)]
        reason: String,
    },
    /// Say what its step gave, and let the run go on behind it.
    Resolve(ResolveArgs),
}

/// Which ones. Every option narrows it.
#[derive(Args)]
pub(super) struct FilterArgs {
    /// Of this workflow.
    #[arg(long)]
    workflow: Option<String>,
    /// Of this run, `run_..`.
    #[arg(long)]
    run: Option<String>,
    /// Of this node.
    #[arg(long)]
    node: Option<String>,
    /// With an error of this class: `auth`, `not-found`, `transient` and so on.
    #[arg(long)]
    class: Option<String>,
    /// With this error code.
    #[arg(long)]
    code: Option<String>,
    /// Dead since this time or later (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Dead before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Those that were given up, instead of those that wait.
    #[arg(long)]
    discarded: bool,
    /// At most so many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Where the list before this one ended, as it says there.
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Args)]
pub(super) struct RedriveArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// All that wait; needed if nothing narrows it.
    #[arg(long)]
    all: bool,
    /// Only say what would be.
    #[arg(long)]
    dry_run: bool,
    /// So many runs first, and the others only after these have come to a good end.
    #[arg(long, default_value_t = 0)]
    canary: u32,
    /// At most so many runs a second; 10 if left out.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: Option<u32>,
    /// At most so many runs; 100 if left out.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: Option<u32>,
    #[command(flatten)]
    how: How,
}

impl FilterArgs {
    /// The options that were given, as the API names them.
    fn fields(&self) -> Vec<(&'static str, String)> {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        [
            ("workflow", self.workflow.clone()),
            ("run", self.run.clone()),
            ("node", self.node.clone()),
            ("class", self.class.clone()),
            ("code", self.code.clone()),
            ("since", time(self.since)),
            ("until", time(self.until)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

/// A dead letter as the API tells it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct LetterView {
    run: String,
    node: String,
    item: u32,
    workflow: String,
    state: String,
    error: ErrorView,
    since: Option<Timestamp>,
    discarded: Option<DiscardView>,
    step: StepView,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DiscardView {
    reason: String,
}

/// Carries out the command.
pub(super) async fn run(
    command: LetterCommand,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    match command {
        LetterCommand::List(args) => list(&args, client, terminal).await,
        LetterCommand::Show(step) => show(&step, client, terminal).await,
        LetterCommand::Redrive(args) => redrive(&args, client, terminal).await,
        LetterCommand::Discard { step, reason } => discard(&step, &reason, client, terminal).await,
        LetterCommand::Resolve(args) => resolve(&args, client, terminal).await,
    }
}

async fn list(args: &ListArgs, client: &Client, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let mut parameters: Vec<(&str, Option<String>)> =
        args.filter.fields().into_iter().map(|(name, value)| (name, Some(value))).collect();
    parameters.push(("discarded", args.discarded.then(|| "true".to_owned())));
    parameters.push(("limit", Some(args.limit.to_string())));
    parameters.push(("cursor", args.cursor.clone()));
    let answer = client.query(&["dead-letters"], &parameters).await?;
    if terminal.json {
        terminal.print_json(&answer)?;
        return Ok(Ending::Fine);
    }
    let letters: Vec<LetterView> = serde_json::from_value(answer["items"].clone())?;
    let rows: Vec<Vec<Cell>> = letters.iter().map(row).collect();
    let head = ["RUN", "STEP", "WORKFLOW", "STATE", "SINCE", "ERROR"];
    terminal.print(&table(&head, &rows, terminal.style))?;
    if let Some(next) = answer["next"].as_str() {
        terminal.note(&format!("there are more: --cursor {}", harmless(next)))?;
    }
    Ok(Ending::Fine)
}

fn row(letter: &LetterView) -> Vec<Cell> {
    let (mark, colour) = sign(&letter.state);
    let text = match &letter.discarded {
        Some(discarded) => format!("given up: {}", discarded.reason),
        None => error(&letter.error),
    };
    vec![
        Cell::from(harmless(&letter.run)),
        Cell::from(named(letter)),
        Cell::from(harmless(&letter.workflow)),
        Cell::painted(format!("{mark} {}", harmless(&letter.state)), colour),
        Cell::from(letter.since.map(measure::time).unwrap_or_default()),
        Cell::from(one_line(&text, MAX_ERROR)),
    ]
}

fn named(letter: &LetterView) -> String {
    match letter.item {
        0 => harmless(&letter.node),
        item => format!("{}[{item}]", harmless(&letter.node)),
    }
}

fn error(error: &ErrorView) -> String {
    format!("{}: {}", error.code, error.message)
}

async fn show(step: &StepArgs, client: &Client, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let parts = ["dead-letters", &step.id, &step.node, &step.item.to_string()];
    let answer = client.get(&parts).await?;
    if terminal.json {
        terminal.print_json(&answer)?;
        return Ok(Ending::Fine);
    }
    let letter: LetterView = serde_json::from_value(answer)?;
    terminal.print(&drawn(&letter, terminal))?;
    Ok(Ending::Fine)
}

fn drawn(letter: &LetterView, terminal: &Terminal) -> String {
    let (mark, colour) = sign(&letter.state);
    let state = terminal.style.paint(colour, &format!("{mark} {}", harmless(&letter.state)));
    let since = letter.since.map(measure::time).unwrap_or_default();
    let attempts = measure::count(letter.step.attempt as usize, "attempt");
    let input = letter.step.input.clone().unwrap_or_default();
    let mut lines = vec![
        format!("{}  {}  {}", harmless(&letter.run), harmless(&letter.workflow), named(letter)),
        format!("{state} since {since}, after {attempts}"),
        format!("error   {}", harmless(&error(&letter.error))),
        format!("input   {}", one_line(&input.to_string(), MAX_INPUT)),
    ];
    lines.extend(
        letter.discarded.as_ref().map(|gone| format!("given up: {}", harmless(&gone.reason))),
    );
    let calls: Vec<Vec<Cell>> = letter.step.calls.iter().map(call).collect();
    if !calls.is_empty() {
        let head = ["ATTEMPT", "TIME", "CALL", "ANSWER", "TOOK", "IDEMPOTENCY KEY"];
        lines.push(String::new());
        lines.push(table(&head, &calls, terminal.style));
    }
    lines.join("\n")
}

fn call(call: &CallView) -> Vec<Cell> {
    let status = call.status.map(|status| status.to_string());
    let answer = status.or_else(|| call.error.clone()).unwrap_or_default();
    let key = call.idempotency_key.as_deref().unwrap_or_default();
    vec![
        Cell::from(call.attempt.to_string()),
        Cell::from(call.started_at.map(measure::time).unwrap_or_default()),
        Cell::from(format!("{} {}", harmless(&call.method), harmless(&call.url))),
        Cell::from(one_line(&answer, MAX_ERROR)),
        Cell::from(call.duration_ms.map(measure::duration).unwrap_or_default()),
        Cell::from(harmless(key)),
    ]
}

async fn redrive(
    args: &RedriveArgs,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let fields = args.filter.fields();
    if fields.is_empty() && !args.all {
        let reason = "say which dead letters: by --workflow, --node, --code and so on, or --all";
        return Err(Usage(reason.to_owned()).into());
    }
    let filter: serde_json::Map<String, Value> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let mut body = json!({
        "filter": filter,
        "dry_run": args.dry_run,
        "canary": args.canary,
        "forget_calls": args.how.forget_calls,
        "repeat_unknown": args.how.repeat_unknown,
        "reason": args.how.reason,
    });
    for (name, value) in [("rate", args.rate), ("limit", args.limit)] {
        if let Some(value) = value {
            body[name] = value.into();
        }
    }
    let answer = client.post(&["dead-letters", "redrive"], &body).await?;
    bulk::show(&answer, terminal)
}

async fn discard(
    step: &StepArgs,
    reason: &str,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let body = json!({ "item": step.item, "reason": reason });
    let parts = ["runs", &step.id, "steps", &step.node, "discard"];
    let answer = client.post(&parts, &body).await?;
    said(&answer, &format!("{} of {} is given up", step.node, step.id), terminal)
}
