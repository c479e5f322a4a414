//! Tombolo as the demo sees it: the server, and its command line, each command printed as one would
//! type it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::first_line::first_line;
use super::folder::Folder;
use super::http;
use super::standins::Standins;
use crate::keep::{self, Kept};
use crate::place::Place;
use crate::program::{output, shown};

/// How long the server may take from listening to being ready.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// The pause between two questions whether it is.
const READY_PAUSE: Duration = Duration::from_millis(20);

/// How long one command may take; watching a run to its end is one.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// A server that ends with this value, and what its command line needs to speak to it.
pub struct Tombolo {
    /// `http://127.0.0.1:..`
    pub origin: String,
    /// The page of the HTTP API.
    pub api_page: String,
    binary: PathBuf,
    root: PathBuf,
    config: PathBuf,
    process: Kept,
}

impl Tombolo {
    /// Starts it on a free port with an empty database, allowed to call the stand-ins and nobody
    /// else on this machine.
    pub fn start(place: &Place, folder: &Folder, standins: &Standins) -> anyhow::Result<Self> {
        let config = folder.config();
        std::fs::write(&config, configuration(place, folder, standins)?)
            .context("cannot write the configuration")?;
        let binary = place.binary("tombolo");
        let mut command = Command::new(&binary);
        command.args(["serve", "--config", &place.shown(&config)]).current_dir(place.root());
        println!("$ {}", shown(&command));
        let log = File::create(folder.log()).context("cannot make the log")?;
        let mut process = Kept::start(&command, |streams| {
            streams.stdout(Stdio::piped()).stderr(log);
        })?;
        let line = first_line(&mut process, |line| line.contains("http://"));
        let line = line.context("Tombolo does not start")?;
        println!("{line}");
        let mut addresses = line.split([' ', '(', ')']).filter(|word| word.starts_with("http://"));
        let origin = addresses.next().context("Tombolo tells no address")?.to_owned();
        let api_page = addresses.next().unwrap_or(&origin).to_owned();
        let root = place.root().to_owned();
        let mut tombolo = Self { origin, api_page, binary, root, config, process };
        tombolo.wait_until_ready()?;
        Ok(tombolo)
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let asked = Instant::now();
        loop {
            let told = match http::get(&self.origin, "/readyz") {
                Ok((200, _)) => return Ok(()),
                Ok((status, body)) => format!("{status} {body}"),
                Err(error) => error.to_string(),
            };
            if let Some(status) = self.process.ended()? {
                anyhow::bail!("Tombolo ended before it was ready: {status}");
            }
            ensure!(
                asked.elapsed() < READY_LIMIT,
                "Tombolo is not ready after {} s: /readyz says {told}",
                READY_LIMIT.as_secs()
            );
            std::thread::sleep(READY_PAUSE);
        }
    }

    /// What a shell needs to know before the printed commands work in it.
    pub fn shell_variables(&self, place: &Place) -> String {
        format!(
            "export TOMBOLO_URL={} TOMBOLO_CONFIG={} PATH=\"$PWD/{}:$PATH\"",
            self.origin,
            place.shown(&self.config),
            place.shown(self.binary.parent().unwrap_or(&self.root))
        )
    }

    /// Runs a command as in a tutorial: printed, then its output.
    pub fn tell(&self, arguments: &[&str], secret: Option<(&str, &str)>) -> anyhow::Result<()> {
        let mut command = self.command(arguments);
        let mut variable = String::new();
        if let Some((name, value)) = secret {
            command.env(name, value);
            variable = format!("{name}=.. ");
        }
        println!("\n$ {variable}{}", shown(&command));
        let child = command.stdin(Stdio::null()).spawn().context("cannot start tombolo")?;
        let ended = keep::within(child, COMMAND_LIMIT)?;
        let status = ended.with_context(|| {
            format!("`{}` took longer than {} s", shown(&command), COMMAND_LIMIT.as_secs())
        })?;
        ensure!(status.success(), "`{}` failed: {status}", shown(&command));
        Ok(())
    }

    /// Runs a command quietly and gives its JSON.
    pub fn ask(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut command = self.command(arguments);
        let told = output(command.arg("--json"))?;
        serde_json::from_str(&told)
            .with_context(|| format!("`{}` told no JSON but `{told}`", shown(&command)))
    }

    /// Waits until the server ends; it should not.
    pub fn wait(&mut self) -> anyhow::Result<()> {
        let status = self.process.wait()?;
        anyhow::bail!("Tombolo ended by itself: {status}")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(&self.root);
        command.env("TOMBOLO_URL", &self.origin).env("TOMBOLO_CONFIG", &self.config);
        command
    }
}

fn configuration(place: &Place, folder: &Folder, standins: &Standins) -> anyhow::Result<String> {
    Ok(format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n\n\
         [data]\ndir = \"{}\"\n\n\
         # The stand-ins, by host and port: nothing else on this machine can be called.\n\
         [egress]\nallow = [\"{}\", \"{}\"]\n",
        place.shown(&folder.data()),
        http::host(&standins.hubspot)?,
        http::host(&standins.asana)?,
    ))
}
