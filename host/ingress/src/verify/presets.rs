//! The schemes that come with Tombolo, one JSON file each. Owns no logic.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use tombolo_core::workflow::VerifyScheme;

/// A scheme that comes with Tombolo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Whose scheme this is, and what its secret is, for people.
    pub summary: String,
    /// The scheme.
    pub scheme: VerifyScheme,
    /// For a sender whose body is a list of events: JSON pointers (RFC 6901) into each of them that
    /// identify it together, the same when the sender tries again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub item_id: Vec<String>,
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("presets/", $name, ".json")))),+]
    };
}

/// Every preset's name and file.
const FILES: [(&str, &str); 11] = files![
    "github",
    "hubspot-v3",
    "jira",
    "linear",
    "shopify",
    "slack",
    "square",
    "standard-webhooks",
    "stripe",
    "svix",
    "zendesk",
];

static PRESETS: LazyLock<BTreeMap<&'static str, Preset>> = LazyLock::new(|| {
    let parse = |(name, text)| match serde_json::from_str(text) {
        Ok(preset) => (name, preset),
        Err(error) => panic!("presets/{name}.json: {error}"),
    };
    FILES.into_iter().map(parse).collect()
});

/// The preset of this name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.get(name)
}

/// All presets, by name.
pub fn presets() -> impl Iterator<Item = (&'static str, &'static Preset)> {
    PRESETS.iter().map(|(name, preset)| (*name, preset))
}
