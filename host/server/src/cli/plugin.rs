//! `tombolo plugin`: build components, look into them, add them to a server.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use clap::{Args, Subcommand};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};
use tombolo_core::ports::sandbox::Installed;

use super::client::Client;
use super::table::{Cell, align, table};
use super::terminal::{Colour, Terminal, harmless};
use super::{Ending, measure, plugin_build};
use crate::config::Config;

/// How much of a hash tells two components apart at a glance.
const SHORT_HASH: usize = 12;

#[derive(Subcommand)]
pub(super) enum PluginCommand {
    /// Build the plugins of a Cargo package or workspace.
    Build(plugin_build::BuildArgs),
    /// Check and describe a component as a server would, without one.
    Inspect {
        /// The component.
        file: PathBuf,
    },
    /// Add components to the server.
    Add(AddArgs),
    /// List the plugins of the server.
    List,
}

#[derive(Args)]
pub(super) struct AddArgs {
    /// Components.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Carries out the command. Only some of them need a server.
pub(super) async fn run(
    command: PluginCommand,
    config: Option<&Path>,
    client: impl FnOnce() -> anyhow::Result<Client>,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    match command {
        PluginCommand::Build(args) => plugin_build::run(&args, terminal).await,
        PluginCommand::Inspect { file } => {
            let bytes = read(&file)?;
            let size = bytes.len() as u64;
            let config = Config::load(config)?.config;
            let installed = crate::serve::inspect(config, bytes)
                .await?
                .with_context(|| file.display().to_string())?;
            inspect(&installed, size, terminal)
        }
        PluginCommand::Add(args) => add(&args, &client()?, terminal).await,
        PluginCommand::List => list(&client()?, terminal).await,
    }
}

fn read(path: &Path) -> anyhow::Result<Bytes> {
    let bytes =
        std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(Bytes::from(bytes))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PluginView {
    name: String,
    version: String,
    hash: String,
    world: String,
    size: u64,
    operations: Vec<OperationView>,
    status: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OperationView {
    name: String,
}

fn inspect(installed: &Installed, size: u64, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let descriptor = &installed.descriptor;
    if terminal.json {
        let document = json!({
            "hash": installed.hash, "size": size, "imports": installed.imports, "descriptor": descriptor,
        });
        terminal.print_json(&document)?;
        return Ok(Ending::Fine);
    }
    let style = terminal.style;
    let name = style.paint(Colour::Bold, &harmless(&descriptor.name));
    let mut lines = vec![
        format!("{name} {}   {}", harmless(&descriptor.version), harmless(&descriptor.summary)),
        format!(
            "world     {}, contract {}",
            descriptor.world.name(),
            harmless(&descriptor.contract)
        ),
        format!("hash      {}   {}", installed.hash, measure::bytes(size)),
    ];
    if !descriptor.hosts.is_empty() {
        lines.push(format!("hosts     {}", harmless(&descriptor.hosts.join(", "))));
    }
    lines.push("operations".to_owned());
    let rows = descriptor.operations.iter().map(|operation| {
        let connection = operation.connection.then(|| "needs a connection".to_owned());
        let ports =
            (!operation.ports.is_empty()).then(|| format!("ports {}", operation.ports.join(", ")));
        let facts: Vec<String> = ports.into_iter().chain(connection).collect();
        let effect = serde_json::to_value(operation.effect).unwrap_or_default();
        vec![
            Cell::from(format!("  {}", harmless(&operation.name))),
            Cell::from(effect.as_str().unwrap_or_default()),
            Cell::from(harmless(&operation.summary)),
            Cell::painted(harmless(&facts.join(", ")), Colour::Dim),
        ]
    });
    lines.extend(align(&rows.collect::<Vec<_>>(), style));
    lines.push("imports".to_owned());
    lines.extend(installed.imports.iter().map(|import| format!("  {}", harmless(import))));
    terminal.print(&lines.join("\n"))?;
    Ok(Ending::Fine)
}

async fn add(args: &AddArgs, client: &Client, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let mut answers = Vec::new();
    for file in &args.files {
        let request = client
            .request(Method::POST, client.address(&["plugins"]))
            .header(CONTENT_TYPE, "application/wasm")
            .body(read(file)?);
        let answer = client.answer(request).await.with_context(|| file.display().to_string());
        let answer = match answer {
            Ok(answer) => answer,
            // What was added before stays added, and is said.
            Err(error) if terminal.json && !answers.is_empty() => {
                terminal.print_json(&answers)?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        if !terminal.json {
            terminal.print(&added(&answer, terminal)?)?;
        }
        answers.push(answer);
    }
    if terminal.json {
        terminal.print_json(&answers)?;
    }
    Ok(Ending::Fine)
}

fn added(answer: &Value, terminal: &Terminal) -> anyhow::Result<String> {
    let view: PluginView = serde_json::from_value(answer.clone())?;
    let what = if view.status == "same" { "was there already" } else { "added" };
    Ok(format!(
        "{} {} {} {what}: {}, {}, {}",
        terminal.style.paint(Colour::Green, "✓"),
        harmless(&view.name),
        harmless(&view.version),
        harmless(&view.world),
        measure::count(view.operations.len(), "operation"),
        short(&view.hash),
    ))
}

async fn list(client: &Client, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let answer = client.get(&["plugins"]).await?;
    if terminal.json {
        terminal.print_json(&answer)?;
        return Ok(Ending::Fine);
    }
    let views: Vec<PluginView> = serde_json::from_value(answer["items"].clone())?;
    let row = |view: &PluginView| {
        let operations: Vec<&str> = view.operations.iter().map(|one| one.name.as_str()).collect();
        vec![
            Cell::from(harmless(&view.name)),
            Cell::from(harmless(&view.version)),
            Cell::from(harmless(&view.world)),
            Cell::from(measure::bytes(view.size)),
            Cell::from(short(&view.hash)),
            Cell::from(harmless(&operations.join(", "))),
        ]
    };
    let rows: Vec<Vec<Cell>> = views.iter().map(row).collect();
    let head = ["NAME", "VERSION", "WORLD", "SIZE", "HASH", "OPERATIONS"];
    terminal.print(&table(&head, &rows, terminal.style))?;
    Ok(Ending::Fine)
}

fn short(hash: &str) -> String {
    harmless(hash).chars().take(SHORT_HASH).collect()
}
