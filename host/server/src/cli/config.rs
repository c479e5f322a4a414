//! `tombolo config`: the manual of the configuration, and what holds here.

use std::path::Path;

use clap::Subcommand;
use serde_json::Value;

use super::Ending;
use super::table::{Cell, table};
use super::terminal::{Colour, Terminal};
use crate::config::{Config, DEFAULT_FILE, Loaded};

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the commented default file: every key with its meaning, unit and bounds.
    Default,
    /// Print what holds here, and where it comes from.
    Show,
}

/// Prints it.
pub(super) fn run(
    command: &ConfigCommand,
    config: Option<&Path>,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    match command {
        ConfigCommand::Default => terminal.print(DEFAULT_FILE)?,
        ConfigCommand::Show => show(&Config::load(config)?, terminal)?,
    }
    Ok(Ending::Fine)
}

fn show(loaded: &Loaded, terminal: &mut Terminal) -> anyhow::Result<()> {
    if terminal.json {
        return Ok(terminal.print_json(&loaded.config)?);
    }
    let mut rows = Vec::new();
    collect("", &serde_json::to_value(&loaded.config)?, loaded, &mut rows);
    terminal.print(&table(&["KEY", "VALUE", "FROM"], &rows, terminal.style))?;
    Ok(())
}

fn collect(prefix: &str, value: &Value, loaded: &Loaded, rows: &mut Vec<Vec<Cell>>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if value.is_object() {
            collect(&key, value, loaded, rows);
            continue;
        }
        let text = if value.is_null() { "-".to_owned() } else { value.to_string() };
        let from = match loaded.origins.get(&key) {
            Some(origin) => Cell::from(origin.to_string()),
            None => Cell::painted("default", Colour::Dim),
        };
        rows.push(vec![Cell::from(key), Cell::from(text), from]);
    }
}
