//! What a workflow file may refer to, as one tenant's store has it.

use std::collections::{BTreeMap, HashMap};

use tombolo_core::descriptor::Descriptor;
use tombolo_core::id::ContentHash;
use tombolo_core::ports::egress::Connection;
use tombolo_core::ports::store::Plugin;
use tombolo_core::workflow::CatalogView;

/// Plugins and connections of one tenant.
pub(super) struct TenantCatalog<'a> {
    plugins: HashMap<&'a str, &'a Plugin>,
    /// None for a stored version: its connections were checked when it was applied, and may have
    /// gone since, which is an error of the step that needs one.
    connections: Option<&'a [Connection]>,
    presets: Vec<&'static str>,
}

impl<'a> TenantCatalog<'a> {
    /// For a new file: the newest plugin of each name.
    pub fn current(
        plugins: &'a [Plugin],
        connections: &'a [Connection],
        presets: Vec<&'static str>,
    ) -> Self {
        let mut newest: HashMap<&str, &Plugin> = HashMap::new();
        for plugin in plugins {
            // The store lists the newest first.
            newest.entry(&plugin.descriptor.name).or_insert(plugin);
        }
        Self { plugins: newest, connections: Some(connections), presets }
    }

    /// For a stored version: the plugins it was applied with.
    pub fn pinned(
        plugins: &'a [Plugin],
        pins: &'a BTreeMap<String, ContentHash>,
        presets: Vec<&'static str>,
    ) -> Self {
        let plugins = pins
            .iter()
            .filter_map(|(name, hash)| {
                Some((name.as_str(), plugins.iter().find(|plugin| plugin.hash == *hash)?))
            })
            .collect();
        Self { plugins, connections: None, presets }
    }

    fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections?.iter().find(|connection| connection.name == name)
    }
}

impl CatalogView for TenantCatalog<'_> {
    fn plugin(&self, name: &str) -> Option<(ContentHash, &Descriptor)> {
        self.plugins.get(name).map(|plugin| (plugin.hash, &plugin.descriptor))
    }

    fn plugin_names(&self) -> Vec<&str> {
        self.plugins.keys().copied().collect()
    }

    fn has_connection(&self, name: &str) -> bool {
        self.connections.is_none() || self.connection(name).is_some()
    }

    fn has_signing_secret(&self, name: &str) -> bool {
        self.connections.is_none()
            || self.connection(name).is_some_and(|connection| connection.signing.is_some())
    }

    fn connection_names(&self) -> Vec<&str> {
        self.connections
            .unwrap_or_default()
            .iter()
            .map(|connection| connection.name.as_str())
            .collect()
    }

    fn has_preset(&self, name: &str) -> bool {
        self.presets.contains(&name)
    }

    fn preset_names(&self) -> Vec<&str> {
        self.presets.clone()
    }
}
