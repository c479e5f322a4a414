//! The server that is measured: the built `tombolo` on a data folder, with its default settings.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::api::Api;
use super::place::Place;
use super::process::{Process, Usage};
use super::settings::Settings;
use super::sinks::Sinks;

/// The tenant of a fresh data folder.
const TENANT: &str = "default";

/// A running server.
#[derive(Debug)]
pub struct Server {
    process: Process,
    data: PathBuf,
}

impl Server {
    /// Starts it on the folder; it may call the sink and nothing else on this machine.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(
        place: &Place,
        settings: &Settings,
        data: &Path,
        sinks: &Sinks,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(place.program("tombolo"));
        command
            .arg("serve")
            .current_dir(place.work())
            .env_clear()
            .env("TOMBOLO_DATA__DIR", data)
            .env("TOMBOLO_SERVER__LISTEN", "127.0.0.1:0")
            .env("TOMBOLO_LOG__LEVEL", "warn")
            .env("TOMBOLO_EGRESS__ALLOW", sinks.allowed())
            .envs(settings.variables.iter().cloned());
        let process = Process::start(command, &place.work().join("tombolo.log"))?;
        Ok(Self { process, data: data.to_owned() })
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// What the process has used so far.
    pub fn usage(&self) -> Usage {
        self.process.usage()
    }

    /// Its HTTP API, with the token of its first start.
    ///
    /// # Errors
    /// If there is no token.
    pub fn api(&self) -> anyhow::Result<Api> {
        let file = self.data.join("admin.token");
        let token = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Api::new(self.process.address, token.trim()))
    }

    /// Ends it in good order.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(self) -> anyhow::Result<()> {
        self.process.stop()
    }
}

/// The path of a webhook.
pub fn hook(name: &str) -> String {
    format!("/hooks/{TENANT}/bench/{name}")
}
