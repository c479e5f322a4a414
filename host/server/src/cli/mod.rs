//! The command line `tombolo`: what can be typed, and which command that is.
//!
//! Every command but `serve`, `token`, `tenant`, `store copy`, `plugin build`, `plugin inspect`, `config`
//! and those of `audit` that export and check speaks to a server over the HTTP API, on this machine or
//! another. Only `token`, `tenant` and `store copy` write to a server's data.

mod audit;
mod audit_export;
mod audit_verify;
mod bulk;
mod client;
mod config;
mod connection;
mod dead_letter;
mod excerpt;
mod follow;
mod json_input;
mod measure;
mod plugin;
mod plugin_build;
mod pointer;
mod problem;
mod run;
mod run_repair;
mod run_replay;
mod run_tree;
mod run_view;
mod secret_input;
mod serve;
mod shape;
mod sse;
mod store;
mod table;
mod target;
mod tenant;
mod terminal;
mod time_input;
mod token;
mod workflow;
mod workflow_files;

#[cfg(test)]
mod repair_tests;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::client::Client;
use self::problem::Failure;
use self::terminal::Terminal;

/// Workflows of sandboxed nodes, every step durable.
#[derive(Parser)]
#[command(name = "tombolo", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 fine, 1 error, 2 wrong usage, 3 the run that was waited for did not succeed.";

/// Options of every command.
#[derive(Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// Address of the server; without it, `server.listen` of the configuration.
    #[arg(long, global = true, env = "TOMBOLO_URL")]
    url: Option<String>,
    /// API token. Without it, a server on this machine is spoken to with the token in its data
    /// folder.
    #[arg(long, global = true, env = "TOMBOLO_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Configuration file; else `tombolo.toml` in the working directory, if there is one.
    #[arg(long, global = true, env = "TOMBOLO_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// JSON for programs instead of text for people.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve(serve::ServeArgs),
    /// Build, look at, add and list plugins.
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Check, apply and look at workflows.
    #[command(subcommand)]
    Workflow(workflow::WorkflowCommand),
    /// Set, list and resume connections to other systems.
    #[command(subcommand)]
    Connection(connection::ConnectionCommand),
    /// Start, watch, cancel, repair and repeat runs.
    #[command(subcommand)]
    Run(run::RunCommand),
    /// Look at steps that wait for a person, and let them go on or give them up.
    #[command(subcommand)]
    DeadLetter(dead_letter::LetterCommand),
    /// Show what people did, the newest first; export and check that record.
    Audit(audit::AuditArgs),
    /// Make, list and take back API tokens, on the server's machine.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Make and list tenants, and say what they may use, on the server's machine.
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Bring the database of the data folder to a PostgreSQL server.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Print the configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

/// How a command came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Everything is fine.
    Fine,
    /// Something was wrong, and has been said.
    Wrong,
    /// The run that was waited for did not succeed.
    RunFailed,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Fine => Self::SUCCESS,
            Ending::Wrong => Self::from(1),
            Ending::RunFailed => Self::from(3),
        }
    }
}

/// The arguments fit the syntax and yet make no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Carries out what was typed. An error is for [`report`].
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let mut terminal = Terminal::of_process(cli.global.json);
    match dispatch(cli, &mut terminal).await {
        Ok(ending) => Ok(ending.into()),
        Err(error) if terminal.json => {
            // A reader of JSON gets the server's answer as it came; the code says that it failed.
            match error.downcast_ref::<Failure>().and_then(Failure::problem) {
                Some(problem) => {
                    terminal.print_json(&problem.document)?;
                    Ok(Ending::Wrong.into())
                }
                None => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

async fn dispatch(cli: Cli, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let Cli { global, command } = cli;
    let client = || -> anyhow::Result<Client> { target::client(&global) };
    match command {
        Command::Serve(args) => serve::run(args, global.config.as_deref()).await,
        Command::Plugin(command) => {
            plugin::run(command, global.config.as_deref(), client, terminal).await
        }
        Command::Workflow(command) => workflow::run(command, client, terminal).await,
        Command::Connection(command) => connection::run(command, &client()?, terminal).await,
        Command::Run(command) => run::run(command, &client()?, terminal).await,
        Command::DeadLetter(command) => dead_letter::run(command, &client()?, terminal).await,
        Command::Audit(args) => audit::run(args, global.config.as_deref(), client, terminal).await,
        Command::Token(command) => token::run(command, global.config.as_deref(), terminal).await,
        Command::Tenant(command) => tenant::run(command, global.config.as_deref(), terminal).await,
        Command::Store(command) => store::run(command, global.config.as_deref(), terminal).await,
        Command::Config(command) => config::run(&command, global.config.as_deref(), terminal),
    }
}

/// Says on standard error what went wrong, and with which code to leave.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        // `tombolo run list | head`: whoever reads has enough.
        return ExitCode::SUCCESS;
    }
    terminal::complain(&format!("{error:#}"));
    ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
