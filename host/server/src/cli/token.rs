//! `tombolo token`: makes API tokens in the data folder, for the first ones cannot come over the API.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::json;
use tombolo_core::ports::store::Scope;

use super::Ending;
use super::terminal::Terminal;
use crate::config::Config;

/// Longest life of a token that ends: ten years.
const MAX_DAYS: i64 = 3_650;

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it, once and never again. Works beside a server that is running.
    Create(CreateArgs),
}

#[derive(Args)]
pub(super) struct CreateArgs {
    /// What people call it.
    #[arg(long)]
    name: String,
    /// What it may be used for, such as `runs:read`; several times, or `all`.
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = parse_scopes)]
    scopes: Vec<Scopes>,
    /// Whose it is.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Days until it stops working; without it, it works for ever.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=MAX_DAYS))]
    days: Option<u32>,
}

/// What one `--scope` names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Scopes(Vec<Scope>);

fn parse_scopes(text: &str) -> Result<Scopes, String> {
    if text == "all" {
        return Ok(Scopes(Scope::ALL.to_vec()));
    }
    match Scope::ALL.into_iter().find(|scope| scope.name() == text) {
        Some(scope) => Ok(Scopes(vec![scope])),
        None => Err(format!("there are all, {}", Scope::ALL.map(Scope::name).join(", "))),
    }
}

/// Makes the token.
pub(super) async fn run(
    command: TokenCommand,
    config: Option<&Path>,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let TokenCommand::Create(args) = command;
    let config = Config::load(config)?.config;
    let mut scopes: Vec<Scope> = args.scopes.into_iter().flat_map(|scopes| scopes.0).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let names: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
    let document =
        json!({"name": args.name, "tenant": args.tenant, "scopes": names, "days": args.days});
    let token =
        crate::serve::create_token(config, args.name, scopes, args.tenant, args.days).await?;
    if terminal.json {
        let mut document = document;
        document["token"] = token.into();
        terminal.print_json(&document)?;
    } else {
        // The token alone on standard output, so that it can be stored without being seen.
        terminal.note("Keep this token; it cannot be shown again.")?;
        terminal.print(&token)?;
    }
    Ok(Ending::Fine)
}

#[cfg(test)]
mod tests {
    use super::parse_scopes;
    use tombolo_core::ports::store::Scope;

    #[test]
    fn scopes_are_named_or_refused_with_their_list() {
        assert_eq!(parse_scopes("runs:read").unwrap().0, [Scope::RunsRead]);
        assert_eq!(parse_scopes("all").unwrap().0, Scope::ALL);
        let error = parse_scopes("runs").unwrap_err();
        assert!(error.contains("runs:read") && error.contains("tokens:write"), "{error}");
    }
}
