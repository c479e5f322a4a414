//! `tombolo tenant`: tenants and what they may use, directly in the store. There is no API for it: a
//! token belongs to one tenant and decides everything, so none could make another.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tombolo_core::ports::store::Tenant;
use tombolo_core::quota::Quotas;

use super::Ending;
use super::table::{Cell, table};
use super::terminal::{Terminal, harmless};
use crate::config::Config;
use crate::in_store;

#[derive(Subcommand)]
pub(super) enum TenantCommand {
    /// Make a tenant. One of this name that is there already stays as it is.
    Create {
        /// Small letters, digits and dashes; it stands in the addresses of webhooks.
        name: String,
    },
    /// List the tenants with their quotas.
    List,
    /// Show what a tenant may use, or change it. Servers know it after five seconds.
    Quota(QuotaArgs),
}

/// A quota that is left out stays as it is; `none` takes it away.
#[derive(Args)]
pub(super) struct QuotaArgs {
    /// The tenant.
    name: String,
    /// Runs that events and people may start in a minute.
    #[arg(long, value_name = "N|none", value_parser = bound)]
    runs_per_minute: Option<Bound>,
    /// Runs that have not ended.
    #[arg(long, value_name = "N|none", value_parser = bound)]
    concurrent_runs: Option<Bound>,
    /// Bytes of long texts and components.
    #[arg(long, value_name = "N|none", value_parser = bound)]
    storage_bytes: Option<Bound>,
    /// Connections.
    #[arg(long, value_name = "N|none", value_parser = bound)]
    connections: Option<Bound>,
}

/// A bound as typed; None for `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bound(Option<u64>);

fn bound(text: &str) -> Result<Bound, String> {
    match text {
        "none" => Ok(Bound(None)),
        _ => text
            .replace('_', "")
            .parse()
            .map(|number| Bound(Some(number)))
            .map_err(|_| "a whole number, or `none`".to_owned()),
    }
}

impl QuotaArgs {
    fn changes(&self) -> bool {
        let all =
            [self.runs_per_minute, self.concurrent_runs, self.storage_bytes, self.connections];
        all.iter().any(Option::is_some)
    }

    fn over(&self, before: Quotas) -> Quotas {
        let wide = |new: Option<Bound>, old: Option<u64>| new.map_or(old, |bound| bound.0);
        // A bound that is larger than a number of the column is as good as the largest.
        let narrow = |new: Option<Bound>, old: Option<u32>| {
            let number = |bound: u64| u32::try_from(bound).unwrap_or(u32::MAX);
            new.map_or(old, |bound| bound.0.map(number))
        };
        Quotas {
            runs_per_minute: narrow(self.runs_per_minute, before.runs_per_minute),
            concurrent_runs: wide(self.concurrent_runs, before.concurrent_runs),
            storage_bytes: wide(self.storage_bytes, before.storage_bytes),
            connections: narrow(self.connections, before.connections),
        }
    }
}

/// Carries out the command.
pub(super) async fn run(
    command: TenantCommand,
    config: Option<&Path>,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let config = Config::load(config)?.config;
    match command {
        TenantCommand::Create { name } => {
            let tenant = in_store::create_tenant(&config, &name).await?;
            if terminal.json {
                terminal.print_json(&document(&tenant, Quotas::default()))?;
            } else {
                terminal.print(&format!("{} ({})", tenant.name, tenant.id))?;
            }
        }
        TenantCommand::List => show(&in_store::tenants(&config).await?, terminal)?,
        TenantCommand::Quota(args) => {
            if args.changes() {
                in_store::change_quotas(&config, &args.name, |before| args.over(before)).await?;
            }
            let all = in_store::tenants(&config).await?;
            let one: Vec<_> = all.into_iter().filter(|(one, _)| one.name == args.name).collect();
            anyhow::ensure!(!one.is_empty(), "there is no tenant `{}`", args.name);
            show(&one, terminal)?;
        }
    }
    Ok(Ending::Fine)
}

fn show(tenants: &[(Tenant, Quotas)], terminal: &mut Terminal) -> anyhow::Result<()> {
    if terminal.json {
        let all = tenants.iter().map(|(tenant, quotas)| document(tenant, *quotas));
        return Ok(terminal.print_json(&all.collect::<Vec<_>>())?);
    }
    let head = ["NAME", "ID", "RUNS A MINUTE", "CONCURRENT RUNS", "STORAGE BYTES", "CONNECTIONS"];
    let rows: Vec<Vec<Cell>> = tenants.iter().map(row).collect();
    terminal.print(&table(&head, &rows, terminal.style))?;
    Ok(())
}

fn document(tenant: &Tenant, quotas: Quotas) -> Value {
    json!({"id": tenant.id, "name": tenant.name, "quotas": quotas})
}

fn row((tenant, quotas): &(Tenant, Quotas)) -> Vec<Cell> {
    let bound = |bound: Option<u64>| {
        Cell::from(bound.map_or_else(|| "-".to_owned(), |number| number.to_string()))
    };
    vec![
        Cell::from(harmless(&tenant.name)),
        Cell::from(tenant.id.to_string()),
        bound(quotas.runs_per_minute.map(u64::from)),
        bound(quotas.concurrent_runs),
        bound(quotas.storage_bytes),
        bound(quotas.connections.map(u64::from)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_number_or_none() {
        assert_eq!(bound("1_000_000"), Ok(Bound(Some(1_000_000))));
        assert_eq!(bound("none"), Ok(Bound(None)));
        for wrong in ["", "-1", "1.5", "many"] {
            assert!(bound(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_left_out_stays() {
        let before =
            Quotas { runs_per_minute: Some(60), connections: Some(3), ..Quotas::default() };
        let args = QuotaArgs {
            name: "acme".to_owned(),
            runs_per_minute: Some(Bound(None)),
            concurrent_runs: Some(Bound(Some(9))),
            storage_bytes: None,
            connections: None,
        };
        assert!(args.changes());
        let after = Quotas { concurrent_runs: Some(9), connections: Some(3), ..Quotas::default() };
        assert_eq!(args.over(before), after);
    }
}
