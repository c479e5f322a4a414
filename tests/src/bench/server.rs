//! The server that is measured: the built `tombolo` on a data folder, with its default settings.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use super::api::Api;
use super::place::Place;
use super::process::{Process, Usage};
use super::settings::Settings;
use super::sinks::Sinks;
use super::template::Data;

/// The tenant of a fresh data folder.
pub const TENANT: &str = "default";

/// What a process does that is told nothing.
const ALL_ROLES: &str = "ingress,api,worker,scheduler";

/// A running server.
#[derive(Debug)]
pub struct Server {
    process: Process,
    /// Its folder of data.
    folder: PathBuf,
}

/// The key of everything that is sealed here.
const MASTER_KEY: &str = "6265e1b1a6c0f0c7c9a7f1d3b2e4968713570246ace8bd9f0123456789abcdef";

impl Server {
    /// Starts it on the folder; it may call the sink and nothing else on this machine.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(
        place: &Place,
        settings: &Settings,
        data: &Data,
        sinks: &Sinks,
    ) -> anyhow::Result<Self> {
        Self::start_as(place, settings, data, sinks, ALL_ROLES)
    }

    /// The same with only some of what a process can do.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_as(
        place: &Place,
        settings: &Settings,
        data: &Data,
        sinks: &Sinks,
        roles: &str,
    ) -> anyhow::Result<Self> {
        let mut command = command(place, data);
        // Each process has a folder of its own, as far as others share the database.
        let folder = match roles {
            ALL_ROLES => data.path().to_owned(),
            _ => data.beside(roles)?,
        };
        command
            .args(["serve", "--role", roles])
            .env("TOMBOLO_DATA__DIR", &folder)
            .env("TOMBOLO_SERVER__LISTEN", "127.0.0.1:0")
            .env("TOMBOLO_EGRESS__ALLOW", sinks.allowed())
            .envs(settings.variables.iter().cloned());
        let log = format!("tombolo-{}.log", roles.replace(',', "-"));
        let process = Process::start(command, &place.work().join(log))?;
        Ok(Self { process, folder: data.path().to_owned() })
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
        let file = self.folder.join("admin.token");
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

/// The built `tombolo` where the data is.
pub fn command(place: &Place, data: &Data) -> Command {
    let mut command = Command::new(place.program("tombolo"));
    command
        .current_dir(place.work())
        .env_clear()
        .env("TOMBOLO_DATA__DIR", data.path())
        .env("TOMBOLO_LOG__LEVEL", "warn")
        .env("TOMBOLO_MASTER_KEY", MASTER_KEY);
    if let Some(database) = data.database() {
        command.env("DATABASE_URL", database.url());
    }
    command
}

/// The path of a webhook.
pub fn hook(name: &str) -> String {
    hook_of(TENANT, name)
}

/// The path of a webhook of some tenant.
pub fn hook_of(tenant: &str, name: &str) -> String {
    format!("/hooks/{tenant}/bench/{name}")
}
