//! `tombolo audit`: what people did, on record; listed by a server, or exported and checked without
//! one.

use std::path::Path;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value;
use tombolo_core::audit::Signs;
use tombolo_core::clock::Timestamp;
use tombolo_vault::AuditKey;

use super::audit_export::{self, ExportArgs};
use super::audit_verify::{self, VerifyArgs};
use super::client::Client;
use super::table::{Cell, table};
use super::terminal::{Terminal, harmless, one_line};
use super::{Ending, measure};
use crate::config::Config;

/// Longest detail in the list, in characters.
const MAX_DETAIL: usize = 80;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: Option<AuditCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Check that nobody has changed the record. Needs no server, and changes nothing.
    Verify(VerifyArgs),
    /// Write a tenant's record as lines of JSON, with a summary. Works beside a server that runs.
    Export(ExportArgs),
    /// Print the public key of the checkpoints. Keep it where they are kept.
    Key,
}

#[derive(Args)]
struct ListArgs {
    /// At most so many entries.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Where the list before this one ended, as it says there.
    #[arg(long)]
    cursor: Option<String>,
}

/// An entry as the API tells it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct EntryView {
    at: Option<Timestamp>,
    actor: String,
    action: String,
    subject: String,
    detail: Value,
}

/// Carries out the command.
pub(super) async fn run(
    args: AuditArgs,
    config: Option<&Path>,
    client: impl FnOnce() -> anyhow::Result<Client>,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    match args.command {
        None => list(&args.list, &client()?, terminal).await,
        Some(AuditCommand::Verify(args)) => audit_verify::run(args, config, terminal).await,
        Some(AuditCommand::Export(args)) => audit_export::run(&args, config, terminal).await,
        Some(AuditCommand::Key) => {
            let config = Config::load(config)?.config;
            let key = AuditKey::load(&config.audit.key_file(&config.data))?;
            terminal.print(&key.public_key().to_string())?;
            Ok(Ending::Fine)
        }
    }
}

async fn list(args: &ListArgs, client: &Client, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let parameters = [("limit", Some(args.limit.to_string())), ("cursor", args.cursor.clone())];
    let answer = client.query(&["audit"], &parameters).await?;
    if terminal.json {
        terminal.print_json(&answer)?;
        return Ok(Ending::Fine);
    }
    let entries: Vec<EntryView> = serde_json::from_value(answer["items"].clone())?;
    let rows: Vec<Vec<Cell>> = entries.iter().map(row).collect();
    let head = ["TIME", "ACTOR", "ACTION", "SUBJECT", "DETAIL"];
    terminal.print(&table(&head, &rows, terminal.style))?;
    if let Some(next) = answer["next"].as_str() {
        terminal.note(&format!("there are more: --cursor {}", harmless(next)))?;
    }
    Ok(Ending::Fine)
}

/// Of the detail, the reason is what people look for.
fn row(entry: &EntryView) -> Vec<Cell> {
    let detail = match (&entry.detail, entry.detail["reason"].as_str()) {
        (_, Some(reason)) => reason.to_owned(),
        (Value::Null, None) => String::new(),
        (detail, None) => detail.to_string(),
    };
    vec![
        Cell::from(entry.at.map(measure::time).unwrap_or_default()),
        Cell::from(harmless(&entry.actor)),
        Cell::from(harmless(&entry.action)),
        Cell::from(harmless(&entry.subject)),
        Cell::from(one_line(&detail, MAX_DETAIL)),
    ]
}
