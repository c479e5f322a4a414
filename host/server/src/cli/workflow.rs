//! `tombolo workflow`: check files, make them live, look at what is live.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};
use tombolo_core::clock::Timestamp;
use tombolo_core::workflow::{Issue, definition_schema};

use super::client::Client;
use super::excerpt::SourceFile;
use super::problem::Failure;
use super::table::{Cell, align, table};
use super::terminal::{Colour, Terminal, harmless};
use super::{Ending, measure, shape};

/// The file in a workflow's folder.
const USUAL_FILE: &str = "workflow.json";

#[derive(Subcommand)]
pub(super) enum WorkflowCommand {
    /// Say what is wrong with workflow files, and change nothing.
    Validate(Files),
    /// Check workflow files and make them live, each as a new version if it has changed.
    Apply(Files),
    /// List the workflows that are live.
    List,
    /// Show a workflow: its triggers and its nodes.
    Show(ShowArgs),
    /// Print the JSON Schema of workflow files, for editors. Asks no server.
    Schema,
}

#[derive(Args)]
pub(super) struct Files {
    /// Files, or folders with a `workflow.json`.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Args)]
pub(super) struct ShowArgs {
    /// Its name.
    name: String,
    /// An older version than the live one.
    #[arg(long, value_name = "N")]
    version: Option<u32>,
}

/// Carries out the command.
pub(super) async fn run(
    command: WorkflowCommand,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    match command {
        WorkflowCommand::Validate(files) => each(&files, Does::Validate, client, terminal).await,
        WorkflowCommand::Apply(files) => each(&files, Does::Apply, client, terminal).await,
        WorkflowCommand::List => list(client, terminal).await,
        WorkflowCommand::Show(args) => show(&args, client, terminal).await,
        WorkflowCommand::Schema => {
            terminal.print_json(&definition_schema())?;
            Ok(Ending::Fine)
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Validate,
    Apply,
}

/// What became of a file.
enum Fate {
    /// In words for people, and as the server says it.
    Good(String, Value),
    /// Not JSON; this is its excerpt.
    Unreadable(String),
    Bad(Vec<Issue>),
}

/// Goes through all files, the good ones after a bad one, too.
async fn each(
    files: &Files,
    does: Does,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let mut documents = Vec::new();
    let mut ending = Ending::Fine;
    for path in &files.files {
        let path = if path.is_dir() { path.join(USUAL_FILE) } else { path.clone() };
        let name = path.display().to_string();
        let text = read(&path)?;
        let source = SourceFile { name: &name, text: &text };
        let fate = match source.show_syntax(terminal.style) {
            Some(excerpt) => Fate::Unreadable(excerpt),
            None => send(&text, does, client).await?,
        };
        if !matches!(fate, Fate::Good(..)) {
            ending = Ending::Wrong;
        }
        if terminal.json {
            documents.push(document(&name, fate)?);
        } else {
            terminal.print(&words(&source, &fate, terminal))?;
        }
    }
    if terminal.json {
        terminal.print_json(&documents)?;
    }
    Ok(ending)
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// Sends the text as it is, so that the places in the answer are those of the file.
async fn send(text: &str, does: Does, client: &Client) -> anyhow::Result<Fate> {
    let file: Value = serde_json::from_str(text)?;
    let request = |method, parts: &[&str]| {
        client
            .request(method, client.address(parts))
            .header(CONTENT_TYPE, "application/json")
            .body(text.to_owned())
    };
    // A file without a name has no address to be applied at; validation says so.
    let name = file["name"].as_str().filter(|name| does == Does::Apply && is_segment(name));
    let Some(name) = name else {
        let answer = client.answer(request(Method::POST, &["workflows", "validate"])).await?;
        let issues: Vec<Issue> = serde_json::from_value(answer["issues"].clone())?;
        return Ok(match issues.as_slice() {
            [] => Fate::Good("valid".to_owned(), answer),
            _ => Fate::Bad(issues),
        });
    };
    match client.answer(request(Method::PUT, &["workflows", name])).await {
        Ok(answer) => {
            let (version, status) = (&answer["version"], answer["status"].as_str());
            let status = harmless(status.unwrap_or("applied"));
            Ok(Fate::Good(format!("{name} version {version} {status}"), answer))
        }
        Err(Failure::Problem(problem)) if !problem.issues().is_empty() => {
            Ok(Fate::Bad(problem.issues().to_vec()))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// True if the name can be a part of an address.
fn is_segment(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
}

fn words(source: &SourceFile<'_>, fate: &Fate, terminal: &Terminal) -> String {
    match fate {
        Fate::Good(words, _) => {
            let sign = terminal.style.paint(Colour::Green, "✓");
            format!("{sign} {}: {words}", source.name)
        }
        Fate::Unreadable(excerpt) => excerpt.clone(),
        Fate::Bad(issues) => {
            let shown = issues.iter().map(|issue| source.show_issue(issue, terminal.style));
            let count = measure::count(issues.len(), "error");
            let last = format!("{}: {count}", source.name);
            shown.chain([last]).collect::<Vec<_>>().join("\n\n")
        }
    }
}

fn document(name: &str, fate: Fate) -> anyhow::Result<Value> {
    let mut document = match fate {
        Fate::Good(_, answer) => answer,
        Fate::Unreadable(excerpt) => {
            let message = excerpt.lines().next().unwrap_or_default();
            let issue = Issue::new("", "not-json", message.trim_start_matches("error: "));
            json!({"valid": false, "issues": [issue]})
        }
        Fate::Bad(issues) => json!({"valid": false, "issues": serde_json::to_value(issues)?}),
    };
    document["file"] = name.into();
    Ok(document)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WorkflowView {
    name: String,
    version: u32,
    live: Option<bool>,
    created_at: Option<Timestamp>,
    triggers: Vec<TriggerView>,
    definition: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TriggerView {
    name: String,
    kind: String,
    path: Option<String>,
}

async fn list(client: &Client, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let answer = client.get(&["workflows"]).await?;
    if terminal.json {
        terminal.print_json(&answer)?;
        return Ok(Ending::Fine);
    }
    let views: Vec<WorkflowView> = serde_json::from_value(answer["items"].clone())?;
    let row = |view: &WorkflowView| {
        let triggers = view.triggers.iter().map(|trigger| {
            let path = trigger.path.as_deref().map(|path| format!(" {path}")).unwrap_or_default();
            harmless(&format!("{}{path}", trigger.kind))
        });
        vec![
            Cell::from(harmless(&view.name)),
            Cell::from(view.version.to_string()),
            Cell::from(view.created_at.map(measure::time).unwrap_or_default()),
            Cell::from(triggers.collect::<Vec<_>>().join(", ")),
        ]
    };
    let rows: Vec<Vec<Cell>> = views.iter().map(row).collect();
    terminal.print(&table(&["NAME", "VERSION", "APPLIED", "TRIGGERS"], &rows, terminal.style))?;
    Ok(Ending::Fine)
}

async fn show(args: &ShowArgs, client: &Client, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let answer = match args.version {
        None => client.get(&["workflows", &args.name]).await?,
        Some(version) => {
            client.get(&["workflows", &args.name, "versions", &version.to_string()]).await?
        }
    };
    if terminal.json {
        terminal.print_json(&answer)?;
        return Ok(Ending::Fine);
    }
    let view: WorkflowView = serde_json::from_value(answer)?;
    terminal.print(&describe(&view, terminal))?;
    Ok(Ending::Fine)
}

fn describe(view: &WorkflowView, terminal: &Terminal) -> String {
    let style = terminal.style;
    let applied = view.created_at.map(|time| format!("   applied {}", measure::time(time)));
    let live = if view.live == Some(false) { "   not live" } else { "" };
    let name = style.paint(Colour::Bold, &harmless(&view.name));
    let mut lines = vec![format!("{name} v{}{}{live}", view.version, applied.unwrap_or_default())];
    for (name, trigger) in view.definition["triggers"].as_object().into_iter().flatten() {
        let (kind, settings) = match trigger.as_object().and_then(|kinds| kinds.iter().next()) {
            Some((kind, settings)) => (kind.as_str(), settings),
            None => ("", &Value::Null),
        };
        let path = settings["path"].as_str().map(|path| format!(" {path}")).unwrap_or_default();
        lines.push(harmless(&format!("trigger {name}: {kind}{path}")));
    }
    let nodes = shape::nodes(&view.definition);
    let row = |branch: &shape::Branch| {
        let node = &nodes[branch.node];
        let via = node.connection.as_ref().map(|name| format!("via {name}"));
        let also = (!branch.also_after.is_empty())
            .then(|| format!("also after {}", branch.also_after.join(", ")));
        let facts: Vec<String> = via.into_iter().chain(also).collect();
        vec![
            Cell::from(format!("{}{}", branch.lead, harmless(&node.name))),
            Cell::from(harmless(&node.uses)),
            Cell::painted(harmless(&facts.join(", ")), Colour::Dim),
        ]
    };
    let rows: Vec<Vec<Cell>> = shape::tree(&nodes).iter().map(row).collect();
    lines.extend(align(&rows, style));
    lines.join("\n")
}
