//! `tombolo token`: API tokens in the data folder, for the first ones cannot come over the API.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tombolo_core::clock::{Clock, Timestamp};
use tombolo_core::id::TokenId;
use tombolo_core::ports::store::{Scope, Token};
use tombolo_core::role::Role;

use super::table::{Cell, table};
use super::terminal::{Terminal, harmless};
use super::{Ending, measure};
use crate::config::Config;
use crate::in_store;
use crate::system::System;

/// Longest life of a token that ends: ten years.
const MAX_DAYS: i64 = 3_650;

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it, once and never again. Works beside a server that is running.
    Create(CreateArgs),
    /// List the tokens of a tenant, the newest first, without what opens.
    List(TenantArgs),
    /// Take a token back. It works nowhere any more after a second at the latest.
    Revoke(RevokeArgs),
}

#[derive(Args)]
pub(super) struct TenantArgs {
    /// Whose.
    #[arg(long, default_value = "default")]
    tenant: String,
}

#[derive(Args)]
pub(super) struct RevokeArgs {
    /// Its id, as `token list` shows it: `tok_..`.
    #[arg(value_name = "TOKEN")]
    id: TokenId,
    #[command(flatten)]
    of: TenantArgs,
}

#[derive(Args)]
pub(super) struct CreateArgs {
    /// What people call it.
    #[arg(long)]
    name: String,
    /// What it may be used for, such as `runs:read`; several times, or `all`.
    #[arg(long = "scope", value_name = "SCOPE", value_parser = parse_scopes)]
    #[arg(required_unless_present = "role", conflicts_with = "role")]
    scopes: Vec<Scopes>,
    /// The scopes of a role: viewer, operator, editor or admin.
    #[arg(long)]
    role: Option<Role>,
    #[command(flatten)]
    of: TenantArgs,
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

/// Carries out the command.
pub(super) async fn run(
    command: TokenCommand,
    config: Option<&Path>,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let config = Config::load(config)?.config;
    match command {
        TokenCommand::Create(args) => create(args, &config, terminal).await,
        TokenCommand::List(TenantArgs { tenant }) => list(&tenant, &config, terminal).await,
        TokenCommand::Revoke(RevokeArgs { id, of }) => {
            let revoked = in_store::revoke_token(&config, &of.tenant, id).await?;
            if terminal.json {
                terminal.print_json(&document(&revoked))?;
            } else {
                terminal.print(&format!("{} ({}) is taken back", revoked.name, revoked.id))?;
            }
            Ok(Ending::Fine)
        }
    }
}

async fn create(
    args: CreateArgs,
    config: &Config,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let mut scopes: Vec<Scope> = match args.role {
        Some(role) => role.scopes(),
        None => args.scopes.into_iter().flat_map(|scopes| scopes.0).collect(),
    };
    scopes.sort_unstable();
    scopes.dedup();
    let names: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
    let tenant = args.of.tenant;
    let mut document =
        json!({"name": args.name, "tenant": tenant, "scopes": names, "days": args.days});
    let token = in_store::create_token(config, (args.name, scopes), &tenant, args.days).await?;
    if terminal.json {
        document["token"] = token.into();
        terminal.print_json(&document)?;
    } else {
        // The token alone on standard output, so that it can be stored without being seen.
        terminal.note("Keep this token; it cannot be shown again.")?;
        terminal.print(&token)?;
    }
    Ok(Ending::Fine)
}

async fn list(tenant: &str, config: &Config, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let tokens = in_store::tokens(config, tenant).await?;
    if terminal.json {
        terminal.print_json(&tokens.iter().map(document).collect::<Vec<_>>())?;
        return Ok(Ending::Fine);
    }
    let now = System.now();
    let rows: Vec<Vec<Cell>> = tokens.iter().map(|token| row(token, now)).collect();
    let head = ["ID", "NAME", "BEGINS", "STATE", "LAST USE", "SCOPES"];
    terminal.print(&table(&head, &rows, terminal.style))?;
    Ok(Ending::Fine)
}

/// As the API tells it.
fn document(token: &Token) -> Value {
    json!({
        "id": token.id, "name": token.name, "prefix": token.prefix, "scopes": token.scopes,
        "created_at": token.created_at, "expires_at": token.expires_at,
        "last_used_at": token.last_used_at, "revoked_at": token.revoked_at,
    })
}

fn row(token: &Token, now: Timestamp) -> Vec<Cell> {
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.name()).collect();
    let role = Role::ALL.into_iter().find(|role| role.scopes() == token.scopes);
    vec![
        Cell::from(token.id.to_string()),
        Cell::from(harmless(&token.name)),
        Cell::from(token.prefix.clone().unwrap_or_else(|| "-".to_owned())),
        Cell::from(state(token, now)),
        Cell::from(token.last_used_at.map_or_else(|| "-".to_owned(), measure::time)),
        Cell::from(role.map_or_else(|| scopes.join(" "), |role| role.to_string())),
    ]
}

fn state(token: &Token, now: Timestamp) -> String {
    match (token.revoked_at, token.expires_at) {
        (Some(at), _) => format!("revoked {}", measure::time(at)),
        (None, Some(end)) if end <= now => format!("expired {}", measure::time(end)),
        (None, Some(end)) => format!("until {}", measure::time(end)),
        (None, None) => "without an end".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_named_or_refused_with_their_list() {
        assert_eq!(parse_scopes("runs:read").unwrap().0, [Scope::RunsRead]);
        assert_eq!(parse_scopes("all").unwrap().0, Scope::ALL);
        let error = parse_scopes("runs").unwrap_err();
        assert!(error.contains("runs:read") && error.contains("tokens:write"), "{error}");
    }

    #[test]
    fn a_token_says_whether_it_works() {
        let mut token = Token {
            id: TokenId(uuid::Uuid::nil()),
            tenant: tombolo_core::id::TenantId(uuid::Uuid::nil()),
            name: "ci".to_owned(),
            hash: [0; 32],
            scopes: Vec::new(),
            created_at: Timestamp(0),
            expires_at: None,
            prefix: None,
            last_used_at: None,
            revoked_at: None,
        };
        let now = Timestamp(1_678_886_400_000);
        assert_eq!(state(&token, now), "without an end");
        token.expires_at = Some(Timestamp(now.0 + 1));
        assert_eq!(state(&token, now), "until 2023-03-15 13:20:00Z");
        token.expires_at = Some(now);
        assert_eq!(state(&token, now), "expired 2023-03-15 13:20:00Z");
        token.revoked_at = Some(now);
        assert_eq!(state(&token, now), "revoked 2023-03-15 13:20:00Z");
    }
}
