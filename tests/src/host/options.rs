//! How a host is to be started.

use std::path::{Path, PathBuf};

/// Settings of the process, and what its data folder has at the start.
#[derive(Debug, Clone, Default)]
pub struct HostOptions {
    allow: Vec<String>,
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
    start: Start,
    data: Option<PathBuf>,
}

/// What a data folder has before the first start of a host in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Start {
    /// A database with all plugins of the house, and what was compiled of them.
    #[default]
    Plugins,
    /// Only what was compiled of them.
    Compiled,
    /// Nothing.
    Nothing,
}

/// The master key of hosts that share a database.
const MASTER_KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0";

impl HostOptions {
    /// Nothing may be called but the public internet.
    pub fn new() -> Self {
        Self::default()
    }

    /// This origin, `http://127.0.0.1:<port>`, may be called.
    #[must_use]
    pub fn allow(mut self, origin: &str) -> Self {
        self.allow.push(origin.trim_start_matches("http://").to_owned());
        self
    }

    /// A key of the configuration, as `server.body_limit_bytes`.
    #[must_use]
    pub fn set(self, key: &str, value: impl ToString) -> Self {
        let name = format!("TOMBOLO_{}", key.replace('.', "__").to_ascii_uppercase());
        self.variable(&name, value)
    }

    /// A variable of the environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.push((name.to_owned(), value.to_string()));
        self
    }

    /// The data folder does not exist: the very first start.
    #[must_use]
    pub fn first_start(mut self) -> Self {
        self.start = Start::Nothing;
        self
    }

    /// Everything durable is in this PostgreSQL database, which other hosts may share. It has no
    /// plugin until one is added.
    #[must_use]
    pub fn database(mut self, url: &str) -> Self {
        self.start = Start::Compiled;
        self.variable("DATABASE_URL", url).variable("TOMBOLO_MASTER_KEY", MASTER_KEY)
    }

    /// What the process does, as `serve --role` takes it.
    #[must_use]
    pub fn roles(mut self, roles: &str) -> Self {
        self.arguments.extend(["--role".to_owned(), roles.to_owned()]);
        self
    }

    /// The data folder is there, and stays when the host has gone; otherwise the host makes one.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// The data folder of a host that has this folder for itself.
    pub(super) fn data_in(&self, folder: &Path) -> PathBuf {
        self.data.clone().unwrap_or_else(|| folder.join("data"))
    }

    pub(super) fn start(&self) -> Start {
        self.start
    }

    /// What stands behind `serve`.
    pub(super) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The whole environment but for what every process gets.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let allow = (!self.allow.is_empty())
            .then(|| ("TOMBOLO_EGRESS__ALLOW".to_owned(), self.allow.join(",")));
        allow.into_iter().chain(self.variables.iter().cloned()).collect()
    }
}
