//! A plugin to be added, made ready for the writer.

use tombolo_core::ports::store::NewPlugin;

use super::Payload;

/// A plugin with its component as it is stored.
#[derive(Debug)]
pub(crate) struct PluginItem {
    pub(crate) plugin: NewPlugin,
    pub(crate) payload: Payload,
}

impl From<NewPlugin> for PluginItem {
    fn from(plugin: NewPlugin) -> Self {
        Self { payload: Payload::new(plugin.tenant, plugin.hash, &plugin.component), plugin }
    }
}
