//! A connection as it is sent, and the rules it is held to. Nothing here has `Debug`: it holds
//! secrets in the clear.

use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer};
use tombolo_core::ports::egress::CallLimits;
use url::{Host, Origin, Url};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::problem::{Kind, Problem};

/// Longest name of a connection, in characters.
const MAX_NAME: usize = 100;
/// Longest secret, user or parameter name, in bytes.
const MAX_SECRET_BYTES: usize = 8 * 1024;
/// Most entries of `allowed_hosts`.
const MAX_HOSTS: usize = 50;
/// Longest base URL, in bytes.
const MAX_URL_BYTES: usize = 2_000;
/// Longest time limit of a call.
const MAX_CALL_MS: u64 = 15 * 60 * 1_000;
/// Largest body limit of a call.
const MAX_CALL_BYTES: u64 = 256 * 1024 * 1024;

/// A connection to be set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutConnection {
    /// `https://api.hubapi.com`: http or https, without user, query and fragment. Left out for a
    /// connection that only keeps a signing secret.
    #[serde(default)]
    #[schema(example = "https://api.hubapi.com")]
    base_url: Option<String>,
    /// Left out, it stays as it is.
    #[serde(default)]
    auth: Option<NewAuth>,
    /// The secret that the system signs its webhooks with. Left out, it stays as it is; null
    /// removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, write_only)]
    signing_secret: Option<Option<SecretText>>,
    /// Hosts that may be called beside the base URL's: `files.example.com`, `*.example.com`,
    /// either with `:port`. They get no credentials.
    #[serde(default)]
    allowed_hosts: Vec<String>,
    /// Bounds of a call; what is left out has its default.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"total_timeout_ms": 30_000}))]
    limits: CallLimits,
}

/// How to authenticate.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum NewAuth {
    /// Not at all.
    None {},
    /// `Authorization: Bearer <token>`.
    Bearer {
        #[schema(value_type = String, write_only)]
        token: SecretText,
    },
    /// `Authorization: Basic ..`.
    Basic {
        user: String,
        #[schema(value_type = String, write_only)]
        password: SecretText,
    },
    /// A header of one's own.
    Header {
        name: String,
        #[schema(value_type = String, write_only)]
        value: SecretText,
    },
    /// A query parameter.
    Query {
        name: String,
        #[schema(value_type = String, write_only)]
        value: SecretText,
    },
}

/// A secret in the clear; wiped when dropped.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(crate) struct SecretText(Zeroizing<String>);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl SecretText {
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Tells null (remove) from left out (keep).
fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<SecretText>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What was sent, in order.
pub(super) struct Checked {
    /// Without a slash at the end.
    pub base_url: Option<String>,
    /// None to keep what is stored.
    pub auth: Option<NewAuth>,
    /// None to keep what is stored, `Some(None)` to remove it.
    pub signing_secret: Option<Option<SecretText>>,
    pub allowed_hosts: Vec<String>,
    pub limits: CallLimits,
}

impl PutConnection {
    pub fn check(self) -> Result<Checked, Problem> {
        let base_url = self.base_url.as_deref().map(base_url).transpose()?;
        if let Some(auth) = &self.auth {
            check_auth(auth)?;
        }
        if let Some(Some(secret)) = &self.signing_secret {
            check_length("/signing_secret", secret.bytes())?;
        }
        check_hosts(&self.allowed_hosts)?;
        check_limits(&self.limits)?;
        Ok(Checked {
            base_url,
            auth: self.auth,
            signing_secret: self.signing_secret,
            allowed_hosts: self.allowed_hosts,
            limits: self.limits,
        })
    }
}

fn wrong(pointer: impl Into<String>, reason: &str) -> Problem {
    let pointer = pointer.into();
    Problem::new(Kind::InvalidBody, format!("{pointer}: {reason}")).with("pointer", pointer)
}

pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let letter = name.starts_with(|first: char| first.is_ascii_lowercase());
    if letter && name.len() <= MAX_NAME && name.split('-').all(part) {
        return Ok(());
    }
    let detail = format!(
        "a connection's name is kebab-case (`hubspot-eu`) and has at most {MAX_NAME} characters"
    );
    Err(Problem::new(Kind::InvalidBody, detail))
}

/// A URL may hold a password, so none is quoted.
fn base_url(text: &str) -> Result<String, Problem> {
    let wrong = |reason: &str| Err(wrong("/base_url", reason));
    if text.len() > MAX_URL_BYTES {
        return wrong("it is too long");
    }
    let Ok(url) = Url::parse(text) else {
        return wrong("it is no absolute URL");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return wrong("it has to start with `https://` or `http://`");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("it holds a user or password; put them into `auth`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("it has a query or fragment; a base URL ends with its path");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Scheme, host and port of a base URL.
pub(super) fn origin(base_url: Option<&str>) -> Option<Origin> {
    base_url.and_then(|text| Url::parse(text).ok()).map(|url| url.origin())
}

fn check_auth(auth: &NewAuth) -> Result<(), Problem> {
    match auth {
        NewAuth::None {} => Ok(()),
        NewAuth::Bearer { token } => check_header_value("/auth/token", token.bytes()),
        NewAuth::Basic { user, password } => {
            check_length("/auth/user", user.as_bytes())?;
            check_length("/auth/password", password.bytes())?;
            // RFC 7617: the first colon ends the user.
            let plain = !user.contains(':') && !user.contains(char::is_control);
            if plain {
                Ok(())
            } else {
                Err(wrong("/auth/user", "it has a colon or a control character"))
            }
        }
        NewAuth::Header { name, value } => {
            check_length("/auth/name", name.as_bytes())?;
            if HeaderName::try_from(name.as_str()).is_err() {
                return Err(wrong("/auth/name", "it is no name of a header"));
            }
            check_header_value("/auth/value", value.bytes())
        }
        NewAuth::Query { name, value } => {
            check_length("/auth/name", name.as_bytes())?;
            check_length("/auth/value", value.bytes())
        }
    }
}

fn check_length(pointer: &str, secret: &[u8]) -> Result<(), Problem> {
    if (1..=MAX_SECRET_BYTES).contains(&secret.len()) {
        return Ok(());
    }
    Err(wrong(pointer, &format!("it has to have 1 to {MAX_SECRET_BYTES} bytes")))
}

fn check_header_value(pointer: &str, secret: &[u8]) -> Result<(), Problem> {
    check_length(pointer, secret)?;
    match HeaderValue::from_bytes(secret) {
        Ok(_) => Ok(()),
        Err(_) => {
            Err(wrong(pointer, "a header cannot carry it; is there a line break at its end?"))
        }
    }
}

fn check_hosts(hosts: &[String]) -> Result<(), Problem> {
    if hosts.len() > MAX_HOSTS {
        return Err(wrong("/allowed_hosts", &format!("it has more than {MAX_HOSTS} entries")));
    }
    match hosts.iter().position(|host| !is_host(host)) {
        None => Ok(()),
        Some(index) => Err(wrong(
            format!("/allowed_hosts/{index}"),
            "write `files.example.com` or `*.example.com`, with `:port` if it is not the usual one",
        )),
    }
}

/// The forms that the egress understands.
fn is_host(text: &str) -> bool {
    let rest = text.strip_prefix("*.").unwrap_or(text);
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !rest.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let below_domain = rest.len() == text.len() || matches!(Host::parse(host), Ok(Host::Domain(_)));
    port && below_domain && !host.contains('*') && Host::parse(host).is_ok()
}

fn check_limits(limits: &CallLimits) -> Result<(), Problem> {
    let bounds = [
        ("connect_timeout_ms", limits.connect_timeout_ms, MAX_CALL_MS),
        ("total_timeout_ms", limits.total_timeout_ms, MAX_CALL_MS),
        ("max_response_bytes", limits.max_response_bytes, MAX_CALL_BYTES),
        ("max_request_bytes", limits.max_request_bytes, MAX_CALL_BYTES),
    ];
    match bounds.into_iter().find(|(_, value, max)| !(1..=*max).contains(value)) {
        None => Ok(()),
        Some((name, _, max)) => {
            Err(wrong(format!("/limits/{name}"), &format!("it has to be between 1 and {max}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls() {
        assert_eq!(
            base_url("https://api.hubapi.com/").ok().as_deref(),
            Some("https://api.hubapi.com")
        );
        assert_eq!(base_url("http://[::1]:80/v1").ok().as_deref(), Some("http://[::1]/v1"));
        for wrong in [
            "api.hubapi.com",
            "ftp://a.example",
            "https://user:hunter2@a.example",
            "https://a.example?key=hunter2",
            "https://a.example#x",
        ] {
            let problem = base_url(wrong).unwrap_err();
            assert!(!problem.body(None, None).to_string().contains("hunter2"));
        }
    }

    #[test]
    fn hosts() {
        for host in
            ["a.example", "*.a.example", "a.example:8443", "127.0.0.1:1", "[::1]:80", "[::1]"]
        {
            assert!(is_host(host), "{host}");
        }
        for host in ["", "*", "a.*.example", "*.1.2.3.4", "https://a", "a:0", "a:x", "a/b", "a b"] {
            assert!(!is_host(host), "{host}");
        }
    }
}
