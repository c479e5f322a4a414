//! One exact host and port, as an operator writes it. Never a pattern.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Host;

/// `127.0.0.1:8080`, `[::1]:8080` or `crm.internal:443`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    host: Host,
    port: u16,
}

/// Text that should name a host and a port, and does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an exact `host:port` such as `127.0.0.1:8080` (no patterns, no scheme, no path)"
)]
pub struct InvalidHostPort {
    text: String,
}

impl HostPort {
    /// A host that was parsed before.
    pub(crate) fn new(host: Host, port: u16) -> Self {
        Self { host, port }
    }

    /// The host, in its WHATWG form.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Reads a host as the WHATWG URL standard does (`0x7f.1` is `127.0.0.1`), without the dot that
/// may end a domain: with and without are the same host, and have to be one to every rule here.
pub(crate) fn parse_host(text: &str) -> Option<Host> {
    match Host::parse(text).ok()? {
        Host::Domain(domain) => {
            let bare = domain.strip_suffix('.').unwrap_or(&domain);
            let proper = !bare.is_empty() && !bare.split('.').any(str::is_empty);
            proper.then(|| Host::Domain(bare.to_owned()))
        }
        address => Some(address),
    }
}

impl FromStr for HostPort {
    type Err = InvalidHostPort;

    fn from_str(text: &str) -> Result<Self, InvalidHostPort> {
        let parts = || {
            let (host, port) = text.rsplit_once(':')?;
            let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|port| digits && *port != 0)?;
            Some(Self { host: parse_host(host).filter(|_| !host.contains('*'))?, port })
        };
        parts().ok_or_else(|| InvalidHostPort { text: text.to_owned() })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl TryFrom<String> for HostPort {
    type Error = InvalidHostPort;

    fn try_from(text: String) -> Result<Self, InvalidHostPort> {
        text.parse()
    }
}

impl From<HostPort> for String {
    fn from(value: HostPort) -> Self {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_for_each_host() {
        let table = [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0x7f.1:80", "127.0.0.1:80"),
            ("[::1]:443", "[::1]:443"),
            ("[0:0::1]:443", "[::1]:443"),
            ("CRM.Internal.:443", "crm.internal:443"),
            ("bücher.example:443", "xn--bcher-kva.example:443"),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_not_exact_is_refused() {
        let table = [
            "",
            "127.0.0.1",
            ":80",
            "host:",
            "host:0",
            "host:+80",
            "host:65536",
            "*.host:80",
            "http://host:80",
            "host:80/path",
            "user@host:80",
            "a..b:80",
            ".:80",
            "::1:80",
            "[::1%eth0]:80",
        ];
        for text in table {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }
}
