//! What an operator may set. Every value has a default.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::host_port::HostPort;

/// The section `[egress]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressSettings {
    /// Hosts and ports that may be called although their address is private, exactly as a
    /// connection's URL names them: `["127.0.0.1:8080"]`. For a name, whatever it resolves to.
    pub allow: Vec<HostPort>,
    /// Calls under way at once, over all hosts; more wait, within their own time limit.
    pub max_calls: NonZeroUsize,
    /// Calls under way at once to one host and port; more wait, within their own time limit.
    pub max_calls_per_host: NonZeroUsize,
    /// Idle connections kept open for each host and port.
    pub pool_idle_per_host: usize,
    /// How long an idle connection is kept; milliseconds.
    pub pool_idle_timeout_ms: u64,
    /// A PEM file of certificate authorities to trust beside the system's.
    pub extra_ca_file: Option<PathBuf>,
}

impl Default for EgressSettings {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            max_calls: const { NonZeroUsize::new(256).unwrap() },
            max_calls_per_host: const { NonZeroUsize::new(64).unwrap() },
            pool_idle_per_host: 16,
            pool_idle_timeout_ms: 30_000,
            extra_ca_file: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_patterns_are_refused_by_name() {
        let parse = |json: &str| serde_json::from_str::<EgressSettings>(json);
        assert_eq!(parse("{}").unwrap(), EgressSettings::default());
        let typo = parse(r#"{"alow": []}"#).unwrap_err().to_string();
        assert!(typo.contains("`alow`") && typo.contains("`allow`"), "{typo}");
        let pattern = parse(r#"{"allow": ["*.local:80"]}"#).unwrap_err().to_string();
        assert!(pattern.contains("`*.local:80`"), "{pattern}");
        assert!(parse(r#"{"max_calls": 0}"#).is_err());
    }
}
