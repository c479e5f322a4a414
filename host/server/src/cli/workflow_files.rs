//! `tombolo workflow validate` and `apply`: what becomes of each file that was named.

use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tombolo_core::json::InvalidJson;
use tombolo_core::workflow::Issue;

use super::client::Client;
use super::excerpt::SourceFile;
use super::problem::Failure;
use super::terminal::{Colour, Terminal, harmless};
use super::{Ending, measure};

/// The file in a workflow's folder.
const USUAL_FILE: &str = "workflow.json";

/// The code of a file that cannot be read, among those of the server's issues.
const UNREADABLE: &str = "unreadable-file";

#[derive(Args)]
pub(super) struct Files {
    /// Files, or folders with a `workflow.json`.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What is done with the files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Validate,
    Apply,
}

/// What became of a file.
enum Fate {
    /// In words for people, and as the server says it.
    Good(String, Value),
    /// Not JSON.
    NotJson(InvalidJson),
    /// JSON, and no workflow.
    Bad(Vec<Issue>),
    /// It could not be read, or the server did not take it, whatever is in it.
    Failed(Trouble),
    /// There was no server for the file before it.
    NotSent,
}

/// Why nothing is known about a file.
enum Trouble {
    Unreadable(std::io::Error),
    Server(Failure),
}

/// A file that was named, and what became of it.
struct Told {
    name: String,
    /// What is not UTF-8 in it is replaced, so that it can be shown.
    text: String,
    fate: Fate,
}

/// Goes through all files, the good ones after a bad one, too.
pub(super) async fn each(
    files: &Files,
    does: Does,
    client: &Client,
    terminal: &mut Terminal,
) -> anyhow::Result<Ending> {
    let mut documents = Vec::new();
    let (mut ending, mut reachable) = (Ending::Fine, true);
    for path in &files.files {
        let told = if reachable { judge(path, does, client).await } else { not_sent(path) };
        // A server that does not answer does not answer for the next file either.
        reachable &= !matches!(&told.fate, Fate::Failed(Trouble::Server(failure)) if failure.problem().is_none());
        if !matches!(told.fate, Fate::Good(..)) {
            ending = Ending::Wrong;
        }
        if terminal.json {
            documents.push(told.document()?);
        } else {
            terminal.print(&told.words(terminal))?;
        }
    }
    if terminal.json {
        terminal.print_json(&documents)?;
    }
    Ok(ending)
}

fn file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(USUAL_FILE) } else { path.to_owned() }
}

fn not_sent(path: &Path) -> Told {
    let name = file(path).display().to_string();
    Told { name, text: String::new(), fate: Fate::NotSent }
}

async fn judge(path: &Path, does: Does, client: &Client) -> Told {
    let path = file(path);
    let name = path.display().to_string();
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let fate = Fate::Failed(Trouble::Unreadable(error));
            return Told { name, text: String::new(), fate };
        }
    };
    let fate = match tombolo_core::json::parse(&bytes) {
        Ok(value) => {
            send(&value, &bytes, does, client).await.unwrap_or_else(|failure| match failure {
                Failure::Problem(problem) if !problem.issues().is_empty() => {
                    Fate::Bad(problem.issues().to_vec())
                }
                failure => Fate::Failed(Trouble::Server(failure)),
            })
        }
        Err(error) => Fate::NotJson(error),
    };
    Told { name, text: String::from_utf8_lossy(&bytes).into_owned(), fate }
}

/// Sends the text as it is, so that the places in the answer are those of the file.
async fn send(file: &Value, text: &[u8], does: Does, client: &Client) -> Result<Fate, Failure> {
    let request = |method, parts: &[&str]| -> RequestBuilder {
        client
            .request(method, client.address(parts))
            .header(CONTENT_TYPE, "application/json")
            .body(text.to_vec())
    };
    // A file without a name has no address to be applied at; validation says so.
    let name = file["name"].as_str().filter(|name| does == Does::Apply && is_segment(name));
    let Some(name) = name else {
        let answer = client.answer(request(Method::POST, &["workflows", "validate"])).await?;
        let issues: Vec<Issue> =
            serde_json::from_value(answer["issues"].clone()).unwrap_or_default();
        return Ok(match issues.as_slice() {
            [] => Fate::Good("valid".to_owned(), answer),
            _ => Fate::Bad(issues),
        });
    };
    let answer = client.answer(request(Method::PUT, &["workflows", name])).await?;
    let (version, status) = (&answer["version"], answer["status"].as_str());
    let status = harmless(status.unwrap_or("applied"));
    Ok(Fate::Good(format!("{name} version {version} {status}"), answer))
}

/// True if the name can be a part of an address.
fn is_segment(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
}

impl Told {
    fn words(&self, terminal: &Terminal) -> String {
        let style = terminal.style;
        let source = SourceFile { name: &self.name, text: &self.text };
        let line = |colour, sign, words: &str| {
            format!("{} {}: {words}", style.paint(colour, sign), self.name)
        };
        match &self.fate {
            Fate::Good(words, _) => line(Colour::Green, "✓", words),
            Fate::NotJson(error) => source.show_syntax(error, style),
            Fate::Bad(issues) => {
                let shown = issues.iter().map(|issue| source.show_issue(issue, style));
                let count = measure::count(issues.len(), "error");
                let last = format!("{}: {count}", self.name);
                shown.chain([last]).collect::<Vec<_>>().join("\n\n")
            }
            Fate::Failed(trouble) => line(Colour::Red, "✗", &trouble.to_string()),
            Fate::NotSent => line(Colour::Dim, "–", "not sent"),
        }
    }

    fn document(self) -> anyhow::Result<Value> {
        let invalid = |issues: &[Issue]| -> anyhow::Result<Value> {
            Ok(json!({"valid": false, "issues": serde_json::to_value(issues)?}))
        };
        let mut document = match self.fate {
            Fate::Good(_, answer) => answer,
            Fate::NotJson(error) => invalid(&[Issue::new("", error.code(), error.to_string())])?,
            Fate::Bad(issues) => invalid(&issues)?,
            Fate::Failed(Trouble::Server(failure)) => match failure.problem() {
                Some(problem) => problem.document.clone(),
                None => json!({"error": failure.to_string()}),
            },
            Fate::Failed(trouble @ Trouble::Unreadable(_)) => {
                invalid(&[Issue::new("", UNREADABLE, trouble.to_string())])?
            }
            Fate::NotSent => json!({"error": "not sent"}),
        };
        document["file"] = self.name.into();
        Ok(document)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "the file cannot be read: {error}"),
            Self::Server(failure) => failure.fmt(f),
        }
    }
}
