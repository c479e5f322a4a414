//! The configuration of a Tombolo process: its shape, its bounds, and where each value comes from.
//!
//! `tombolo.default.toml` is the reference manual and the lowest layer; a file and then environment
//! variables go over it. Owns no behaviour of the parts it configures, and never holds a secret.

mod access;
mod bounds;
mod forms;
mod layers;
mod problem;
mod settings;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tombolo_egress::EgressSettings;
use tombolo_sandbox::SandboxSettings;

pub use access::{AccessSettings, OidcSettings};
pub use layers::Origin;
pub use problem::{ConfigError, ConfigProblem};
pub use settings::{
    AlertSettings, AuditSettings, DataSettings, EngineSettings, LogFormat, LogSettings,
    PostgresSettings, ServerSettings, StoreSettings, VaultSettings,
};

/// The default file: every key with its meaning, default, unit and bounds.
pub const DEFAULT_FILE: &str = include_str!("../tombolo.default.toml");

/// The file that is read if it is there and no other is named.
pub const USUAL_FILE: &str = "tombolo.toml";

/// Everything that an operator may set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The HTTP server.
    pub server: ServerSettings,
    /// Where data is kept.
    pub data: DataSettings,
    /// The database.
    pub store: StoreSettings,
    /// What holds for a database server only.
    pub postgres: PostgresSettings,
    /// Running of workflows.
    pub engine: EngineSettings,
    /// Bounds of plugins and expressions.
    pub sandbox: SandboxSettings,
    /// The way out.
    pub egress: EgressSettings,
    /// How often one may call.
    pub access: AccessSettings,
    /// The identity provider.
    pub oidc: OidcSettings,
    /// What people are told without asking.
    pub alerts: AlertSettings,
    /// The record of what people did.
    pub audit: AuditSettings,
    /// Secrets at rest.
    pub vault: VaultSettings,
    /// Logs of this process.
    pub log: LogSettings,
}

/// A configuration with the origin of every value that is not the default.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// By key, `engine.lease_seconds`.
    pub origins: BTreeMap<String, Origin>,
}

impl Config {
    /// Reads the layers as a process does: the named file, else [`USUAL_FILE`] in the working
    /// directory if there is one, then the variables of the environment.
    pub fn load(file: Option<&Path>) -> Result<Loaded, ConfigError> {
        let usual = Path::new(USUAL_FILE);
        let file = file.or_else(|| usual.exists().then_some(usual));
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        let text = match file {
            None => None,
            Some(path) => Some((path.to_owned(), read(path)?)),
        };
        Self::from_layers(text, variables)
    }

    /// The default file, the given file and the given variables, later over earlier.
    pub fn from_layers(
        file: Option<(PathBuf, String)>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Loaded, ConfigError> {
        let mut layers = layers::Layers::start()?;
        if let Some((path, text)) = file {
            layers.file(&path, &text);
        }
        layers.environment(variables);
        layers.finish()
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("the configuration file cannot be read: {error}");
        ConfigProblem::at(path.display(), message).into()
    })
}
