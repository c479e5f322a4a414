//! `tombolo connection`: the ways to other systems. Secrets go in and never come out.

use std::io::{self, Read};

use clap::{ArgGroup, Args, Subcommand};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tombolo_core::clock::Timestamp;
use tombolo_core::secret::Secret;

use super::client::Client;
use super::secret_input::{Inputs, SecretSource, refuse_terminal};
use super::table::{Cell, table};
use super::terminal::{Colour, Terminal, harmless, one_line};
use super::{Ending, measure};

/// Longest reason of a pause in the list, in characters.
const MAX_REASON: usize = 60;

#[derive(Subcommand)]
pub(super) enum ConnectionCommand {
    /// Create a connection, or replace the one of this name. Secrets and limits that are not given
    /// stay as they are, the base URL and the allowed hosts are reset.
    Set(Box<SetArgs>),
    /// List connections, without their secrets.
    List,
    /// End the pause of a connection whose credentials were refused, and let the runs go on that
    /// wait for it. Setting new credentials ends it, too.
    Resume {
        /// Its name, as workflows use it.
        name: String,
        /// For the record.
        #[arg(long)]
        reason: Option<String>,
    },
}

/// Secrets come from standard input or a variable, never as an argument.
#[derive(Args)]
#[command(group = ArgGroup::new("auth").args(["bearer_stdin", "bearer_env", "basic_user", "header", "query", "no_auth"]))]
#[command(group = ArgGroup::new("password").args(["password_stdin", "password_env"]))]
#[command(group = ArgGroup::new("value").args(["value_stdin", "value_env"]))]
#[command(group = ArgGroup::new("named").args(["header", "query"]))]
#[command(group = ArgGroup::new("signing").args(["signing_secret_stdin", "signing_secret_env", "no_signing_secret"]))]
pub(super) struct SetArgs {
    /// Its name, as workflows use it.
    name: String,
    /// Where the system is: `https://api.hubapi.com`.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Authenticate with a bearer token that is read from standard input.
    #[arg(long)]
    bearer_stdin: bool,
    /// The same from a variable.
    #[arg(long, value_name = "VARIABLE")]
    bearer_env: Option<String>,
    /// Authenticate with user and password.
    #[arg(long, value_name = "USER", requires = "password")]
    basic_user: Option<String>,
    /// The password is read from standard input.
    #[arg(long, requires = "basic_user")]
    password_stdin: bool,
    /// The same from a variable.
    #[arg(long, value_name = "VARIABLE", requires = "basic_user")]
    password_env: Option<String>,
    /// Authenticate with a header of this name.
    #[arg(long, value_name = "NAME", requires = "value")]
    header: Option<String>,
    /// Authenticate with a query parameter of this name.
    #[arg(long, value_name = "NAME", requires = "value")]
    query: Option<String>,
    /// The value of the header or parameter is read from standard input.
    #[arg(long, requires = "named")]
    value_stdin: bool,
    /// The same from a variable.
    #[arg(long, value_name = "VARIABLE", requires = "named")]
    value_env: Option<String>,
    /// Do not authenticate, and forget the credentials that were set.
    #[arg(long)]
    no_auth: bool,
    /// The secret that the system signs its webhooks with is read from standard input.
    #[arg(long)]
    signing_secret_stdin: bool,
    /// The same from a variable.
    #[arg(long, value_name = "VARIABLE")]
    signing_secret_env: Option<String>,
    /// Forget the signing secret that was set.
    #[arg(long)]
    no_signing_secret: bool,
    /// A host that may be called beside the base URL's: `files.example.com`, `*.example.com`.
    #[arg(long = "allow-host", value_name = "HOST")]
    allow_hosts: Vec<String>,
    /// Longest time until the connection stands, TLS included; milliseconds.
    #[arg(long, value_name = "MS")]
    connect_timeout: Option<u64>,
    /// Longest time until the response is complete; milliseconds.
    #[arg(long, value_name = "MS")]
    total_timeout: Option<u64>,
    /// Largest body of a response; bytes.
    #[arg(long, value_name = "BYTES")]
    max_response: Option<u64>,
    /// Largest body of a request; bytes.
    #[arg(long, value_name = "BYTES")]
    max_request: Option<u64>,
}

/// A connection as the API tells it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ConnectionView {
    name: String,
    base_url: Option<String>,
    auth: AuthView,
    has_signing_secret: bool,
    allowed_hosts: Vec<String>,
    paused: Option<PauseView>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PauseView {
    at: Option<Timestamp>,
    reason: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AuthView {
    kind: String,
    user: Option<String>,
    name: Option<String>,
}

/// Carries out the command.
pub(super) async fn run(
    command: ConnectionCommand,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    match command {
        ConnectionCommand::Set(args) => {
            refuse_terminal(&args.sources().iter().collect::<Vec<_>>())?;
            #[expect(
                clippy::disallowed_methods,
                reason = "whoever typed the command named the variable"
            )]
            let variables = |name: &str| std::env::var(name).ok();
            set(&args, &mut io::stdin().lock(), &variables, client, terminal).await
        }
        ConnectionCommand::List => list(client, terminal).await,
        ConnectionCommand::Resume { name, reason } => {
            resume(&name, reason.as_deref(), client, terminal).await
        }
    }
}

fn source(stdin: bool, variable: Option<&String>) -> Option<SecretSource> {
    let variable = variable.cloned().map(SecretSource::Variable);
    variable.or(stdin.then_some(SecretSource::Stdin))
}

impl SetArgs {
    fn credential(&self) -> Option<SecretSource> {
        source(self.bearer_stdin, self.bearer_env.as_ref())
            .or_else(|| source(self.password_stdin, self.password_env.as_ref()))
            .or_else(|| source(self.value_stdin, self.value_env.as_ref()))
    }

    fn signing(&self) -> Option<SecretSource> {
        source(self.signing_secret_stdin, self.signing_secret_env.as_ref())
    }

    fn sources(&self) -> Vec<SecretSource> {
        self.credential().into_iter().chain(self.signing()).collect()
    }

    /// What is sent to the server. What is absent there stays, what is null is forgotten.
    fn body(&self, inputs: &mut Inputs<'_>) -> anyhow::Result<Value> {
        let mut body = json!({"allowed_hosts": self.allow_hosts});
        for (name, value) in self.limits() {
            body["limits"][name] = value.into();
        }
        if let Some(url) = &self.base_url {
            body["base_url"] = url.as_str().into();
        }
        if let Some(source) = self.credential() {
            body["auth"] = self.auth(text(&inputs.read(&source)?));
        } else if self.no_auth {
            body["auth"] = json!({"kind": "none"});
        }
        if let Some(source) = self.signing() {
            body["signing_secret"] = text(&inputs.read(&source)?).into();
        } else if self.no_signing_secret {
            body["signing_secret"] = Value::Null;
        }
        Ok(body)
    }

    /// The limits that were given.
    fn limits(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("connect_timeout_ms", self.connect_timeout),
            ("total_timeout_ms", self.total_timeout),
            ("max_response_bytes", self.max_response),
            ("max_request_bytes", self.max_request),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    fn auth(&self, credential: String) -> Value {
        match (&self.basic_user, &self.header, &self.query) {
            (Some(user), ..) => json!({"kind": "basic", "user": user, "password": credential}),
            (_, Some(name), _) => json!({"kind": "header", "name": name, "value": credential}),
            (_, _, Some(name)) => json!({"kind": "query", "name": name, "value": credential}),
            (None, None, None) => json!({"kind": "bearer", "token": credential}),
        }
    }
}

/// Secrets were read as text.
fn text(secret: &Secret) -> String {
    String::from_utf8_lossy(secret.reveal()).into_owned()
}

async fn set(
    args: &SetArgs,
    stdin: &mut dyn Read,
    variables: &dyn Fn(&str) -> Option<String>,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let body = args.body(&mut Inputs::new(stdin, variables))?;
    let url = client.address(&["connections", &args.name]);
    let answer = client.answer(client.request(Method::PUT, url).json(&body)).await?;
    if terminal.json {
        terminal.print_json(&answer)?;
    } else {
        let view: ConnectionView = serde_json::from_value(answer)?;
        let kind = harmless(&view.auth.kind);
        let signing = if view.has_signing_secret { ", signing secret kept" } else { "" };
        terminal.print(&format!("connection {} is set: auth {kind}{signing}", args.name))?;
    }
    Ok(Ending::Fine)
}

async fn list(client: &Client, terminal: &mut Terminal) -> anyhow::Result<Ending> {
    let answer = client.get(&["connections"]).await?;
    if terminal.json {
        terminal.print_json(&answer)?;
        return Ok(Ending::Fine);
    }
    let views: Vec<ConnectionView> = serde_json::from_value(answer["items"].clone())?;
    let rows: Vec<Vec<Cell>> = views.iter().map(ConnectionView::row).collect();
    let head = ["NAME", "BASE URL", "AUTH", "SIGNING", "ALLOWED HOSTS", "PAUSED"];
    terminal.print(&table(&head, &rows, terminal.style))?;
    Ok(Ending::Fine)
}

async fn resume(
    name: &str,
    reason: Option<&str>,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let body = json!({ "reason": reason });
    let answer = client.post(&["connections", name, "resume"], &body).await?;
    if terminal.json {
        terminal.print_json(&answer)?;
    } else {
        let runs = answer["runs"].as_u64().unwrap_or(0);
        let runs = measure::count(usize::try_from(runs).unwrap_or(usize::MAX), "run");
        terminal.print(&format!("connection {name} is not paused; {runs} waited for it"))?;
    }
    Ok(Ending::Fine)
}

impl ConnectionView {
    fn row(&self) -> Vec<Cell> {
        let who = self.auth.user.as_ref().or(self.auth.name.as_ref());
        let who = who.map(|who| format!(" {}", harmless(who))).unwrap_or_default();
        let paused = self.paused.as_ref().map(|pause| {
            let since = pause.at.map(measure::time).unwrap_or_default();
            format!("since {since}: {}", one_line(&pause.reason, MAX_REASON))
        });
        vec![
            Cell::from(harmless(&self.name)),
            Cell::from(harmless(self.base_url.as_deref().unwrap_or("-"))),
            Cell::from(format!("{}{who}", harmless(&self.auth.kind))),
            Cell::from(if self.has_signing_secret { "yes" } else { "-" }),
            Cell::from(harmless(&self.allowed_hosts.join(", "))),
            Cell::painted(paused.unwrap_or_default(), Colour::Red),
        ]
    }
}

#[cfg(test)]
mod tests;
