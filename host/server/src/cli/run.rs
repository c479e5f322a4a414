//! `tombolo run`: start runs, watch them, cancel them. Repairs stand in `run_repair` and
//! `run_replay`.

use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;
use tombolo_core::random::Randomness;
use tombolo_core::run::RunState;

use super::client::Client;
use super::follow::Progress;
use super::problem::Failure;
use super::run_tree::{self, Detail};
use super::run_view::{RunView, sign};
use super::table::{Cell, table};
use super::terminal::{Terminal, harmless, one_line};
use super::{Ending, follow, json_input, measure, run_repair, run_replay};
use crate::system::System;

/// Longest error in the list of runs, in characters.
const MAX_ERROR: usize = 80;

/// Most seconds of `--wait`: a day.
const MAX_WAIT_SECONDS: u64 = 24 * 3_600;

#[derive(Subcommand)]
pub(super) enum RunCommand {
    /// Start a run of a workflow.
    Start(StartArgs),
    /// Show a run as a tree of its steps.
    Show(ShowArgs),
    /// List runs, the newest first.
    List(ListArgs),
    /// Cancel a run.
    Cancel {
        /// Its id, `run_..`.
        id: String,
    },
    /// Say why a run and its steps are where they are, and what to do about it.
    Explain {
        /// Its id, `run_..`.
        id: String,
    },
    /// Let the dead steps of a run try again.
    Redrive(run_repair::RedriveArgs),
    /// Say what a dead or unknown step gave, and let the run go on behind it.
    Resolve(run_repair::ResolveArgs),
    /// Let a `callback` or `approval` node go on.
    Signal(run_repair::SignalArgs),
    /// Start a new run with the input of an old one, or of many.
    Replay(Box<run_replay::ReplayArgs>),
}

#[derive(Args)]
pub(super) struct StartArgs {
    /// The workflow's name.
    workflow: String,
    /// What expressions read as `.trigger`: JSON, `@file`, or `-` for standard input. Without it,
    /// `null`.
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// Makes it safe to send the same start twice: the second one finds the run of the first.
    /// Without it, every start is a new run.
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    idempotency_key: Option<String>,
    /// Wait so many seconds for the end, and say on the way what happens.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=MAX_WAIT_SECONDS))]
    wait: Option<u64>,
}

#[derive(Args)]
pub(super) struct ShowArgs {
    /// Its id, `run_..`.
    id: String,
    /// Show input, output, logs and calls of each step, too.
    #[arg(long)]
    steps: bool,
    /// Stay until the run ends, and say on the way what happens.
    #[arg(long)]
    follow: bool,
}

#[derive(Args)]
pub(super) struct ListArgs {
    /// Of this workflow only.
    #[arg(long)]
    workflow: Option<String>,
    /// In this state only.
    #[arg(long, value_parser = RunState::ALL.map(RunState::name))]
    state: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Where the list before this one ended, as it says there.
    #[arg(long)]
    cursor: Option<String>,
}

/// Carries out the command.
pub(super) async fn run(
    command: RunCommand,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    match command {
        RunCommand::Start(args) => start(&args, client, terminal).await,
        RunCommand::Show(args) => show(&args, client, terminal).await,
        RunCommand::List(args) => list(&args, client, terminal).await,
        RunCommand::Cancel { id } => cancel(&id, client, terminal).await,
        RunCommand::Explain { id } => run_repair::explain(&id, client, terminal).await,
        RunCommand::Redrive(args) => run_repair::redrive(&args, client, terminal).await,
        RunCommand::Resolve(args) => run_repair::resolve(&args, client, terminal).await,
        RunCommand::Signal(args) => run_repair::signal(&args, client, terminal).await,
        RunCommand::Replay(args) => run_replay::replay(&args, client, terminal).await,
    }
}

async fn start(
    args: &StartArgs,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let input = args.input.as_deref().map(|text| json_input::read("--input", text)).transpose()?;
    let key = args.idempotency_key.clone().unwrap_or_else(new_key);
    let request = client
        .request(Method::POST, client.address(&["workflows", &args.workflow, "runs"]))
        .header("idempotency-key", quoted(&key));
    let request = match &input {
        Some(input) => request.json(input),
        None => request,
    };
    let answer = client.answer(request).await?;
    let id = answer["run"].as_str().context("the server did not say which run it started")?;
    let Some(seconds) = args.wait else {
        if terminal.json {
            terminal.print_json(&answer)?;
        } else {
            terminal.print(&harmless(id))?;
            terminal.note(&format!(
                "started; `tombolo run show {} --follow` watches it",
                harmless(id)
            ))?;
        }
        return Ok(Ending::Fine);
    };
    // A program that waits wants the end; `run show --follow` gives it the way there.
    let progress = if terminal.json { Progress::Silent } else { Progress::Said(Detail::Lines) };
    let end = follow::to_the_end(client, id, progress, terminal);
    let run = tokio::time::timeout(Duration::from_secs(seconds), end).await.map_err(|_| {
        anyhow::anyhow!("{id} has not ended within {seconds} s, and goes on; `tombolo run show {id} --follow` watches it")
    })??;
    if terminal.json {
        terminal.print_json(&run)?;
    }
    finish(run, Detail::Lines, client, terminal).await
}

/// A structured-field string (RFC 9651), as the draft of the header asks for.
pub(super) fn quoted(key: &str) -> String {
    format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))
}

pub(super) fn parse_key(key: &str) -> Result<String, String> {
    const MAX: usize = 255;
    let fine = (1..=MAX).contains(&key.len()) && key.bytes().all(|b| matches!(b, b' '..=b'~'));
    fine.then(|| key.to_owned())
        .ok_or_else(|| format!("a key has 1 to {MAX} printable ASCII characters"))
}

/// 128 random bits: a start that is sent twice by the network is one run.
fn new_key() -> String {
    let mut bytes = [0; 16];
    System.fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

async fn show(args: &ShowArgs, client: &Client, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let detail = if args.steps { Detail::Everything } else { Detail::Lines };
    if args.follow {
        let run = follow::to_the_end(client, &args.id, Progress::Said(detail), terminal).await?;
        return finish(run, detail, client, terminal).await;
    }
    let run = client.get(&["runs", &args.id]).await?;
    let run = follow::with_steps(run, detail, client).await?;
    if terminal.json {
        terminal.print_json(&run)?;
    } else {
        draw(&run, detail, client, terminal).await?;
    }
    Ok(Ending::Fine)
}

/// Shows a run that was waited for. As JSON it has been shown already.
async fn finish(
    run: Value,
    detail: Detail,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let view: RunView = serde_json::from_value(run.clone())?;
    if !terminal.json {
        let run = follow::with_steps(run, detail, client).await?;
        terminal.print("")?;
        draw(&run, detail, client, terminal).await?;
    }
    Ok(if view.succeeded() { Ending::Fine } else { Ending::RunFailed })
}

async fn draw(
    run: &Value,
    detail: Detail,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let view: RunView = serde_json::from_value(run.clone())?;
    let definition = definition(&view, client).await?;
    let tree = run_tree::render(&view, definition.as_ref(), detail, terminal.style);
    terminal.print(&tree)?;
    Ok(())
}

/// The version that the run follows; none if this token may not look at workflows.
async fn definition(run: &RunView, client: &Client) -> Result<Option<Value>, Failure> {
    let parts = ["workflows", &run.workflow, "versions", &run.version.to_string()];
    match client.get(&parts).await {
        Ok(mut version) => Ok(Some(version["definition"].take())),
        Err(Failure::Problem(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn list(args: &ListArgs, client: &Client, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let parameters = [
        ("limit", Some(args.limit.to_string())),
        ("workflow", args.workflow.clone()),
        ("state", args.state.clone()),
        ("cursor", args.cursor.clone()),
    ];
    let answer = client.query(&["runs"], &parameters).await?;
    if terminal.json {
        terminal.print_json(&answer)?;
        return Ok(Ending::Fine);
    }
    let runs: Vec<RunView> = serde_json::from_value(answer["items"].clone())?;
    let rows: Vec<Vec<Cell>> = runs.iter().map(row).collect();
    let head = ["ID", "WORKFLOW", "STATE", "CREATED", "DURATION", "ERROR"];
    terminal.print(&table(&head, &rows, terminal.style))?;
    if let Some(next) = answer["next"].as_str() {
        terminal.note(&format!("there are more: --cursor {}", harmless(next)))?;
    }
    Ok(Ending::Fine)
}

fn row(run: &RunView) -> Vec<Cell> {
    let (sign, colour) = sign(&run.state);
    let error = run.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
    vec![
        Cell::from(harmless(&run.id)),
        Cell::from(format!("{} v{}", harmless(&run.workflow), run.version)),
        Cell::painted(format!("{sign} {}", harmless(&run.state)), colour),
        Cell::from(run.created_at.map(measure::time).unwrap_or_default()),
        Cell::from(run.duration_ms.map(measure::duration).unwrap_or_default()),
        Cell::from(one_line(&error.unwrap_or_default(), MAX_ERROR)),
    ]
}

async fn cancel(id: &str, client: &Client, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let url = client.address(&["runs", id, "cancel"]);
    let answer = client.answer(client.request(Method::POST, url)).await?;
    if terminal.json {
        terminal.print_json(&answer)?;
    } else {
        let state = answer["state"].as_str().unwrap_or("not ended");
        terminal.print(&format!("{id} is asked to end; it is {} now", harmless(state)))?;
    }
    Ok(Ending::Fine)
}

#[cfg(test)]
mod tests {
    use super::{new_key, parse_key, quoted};

    #[test]
    fn a_key_is_written_as_a_structured_string() {
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
        assert!(
            parse_key("ü").is_err()
                && parse_key("").is_err()
                && parse_key(&"x".repeat(256)).is_err()
        );
        assert_ne!(new_key(), new_key());
        assert_eq!(new_key().len(), 32);
    }
}
