//! `tombolo workflow`: check files, make them live, look at what is live.

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value;
use tombolo_core::clock::Timestamp;
use tombolo_core::workflow::definition_schema;

use super::client::Client;
use super::table::{Cell, align, table};
use super::terminal::{Colour, Terminal, harmless};
use super::workflow_files::{Does, Files, each};
use super::{Ending, measure, shape};

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
pub(super) struct ShowArgs {
    /// Its name.
    name: String,
    /// An older version than the live one.
    #[arg(long, value_name = "N")]
    version: Option<u32>,
}

/// Carries out the command. Only some of them need a server.
pub(super) async fn run(
    command: WorkflowCommand,
    client: impl FnOnce() -> anyhow::Result<Client>,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    match command {
        WorkflowCommand::Validate(files) => {
            each(&files, Does::Validate, &client()?, terminal).await
        }
        WorkflowCommand::Apply(files) => each(&files, Does::Apply, &client()?, terminal).await,
        WorkflowCommand::List => list(&client()?, terminal).await,
        WorkflowCommand::Show(args) => show(&args, &client()?, terminal).await,
        WorkflowCommand::Schema => {
            terminal.print_json(&definition_schema())?;
            Ok(Ending::Fine)
        }
    }
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
