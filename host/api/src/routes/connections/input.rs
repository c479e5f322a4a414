//! A connection as it is sent, and the rules it is held to. Nothing here has `Debug`: it holds
//! secrets in the clear.

use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer};
use url::{Origin, Url};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::hosts;
use super::limits::NewLimits;
use crate::extract::invalid;
use crate::problem::{Kind, Problem};

/// Longest name of a connection, in characters.
const MAX_NAME: usize = 100;
/// Longest secret, user or parameter name, in bytes.
const MAX_SECRET_BYTES: usize = 8 * 1024;
/// Longest base URL, in bytes.
const MAX_URL_BYTES: usize = 2_000;

/// Names that an `auth` header may not have: of the message and of the connection, not of a
/// credential. The egress sets them itself, so that the credential would be lost or break the call.
const RESERVED: [&str; 10] = [
    "host",
    "expect",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// The same for all names that start so.
const RESERVED_PREFIX: &str = "content-";

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
    /// Bounds of a call; what is left out stays as it is.
    #[serde(default)]
    limits: NewLimits,
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
    pub limits: NewLimits,
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
        hosts::check(&self.allowed_hosts)?;
        self.limits.check()?;
        Ok(Checked {
            base_url,
            auth: self.auth,
            signing_secret: self.signing_secret,
            allowed_hosts: self.allowed_hosts,
            limits: self.limits,
        })
    }
}

pub(super) fn wrong(pointer: impl Into<String>, reason: &str) -> Problem {
    invalid(&pointer.into(), reason)
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
            check_header_name(name)?;
            check_header_value("/auth/value", value.bytes())
        }
        NewAuth::Query { name, value } => {
            check_length("/auth/name", name.as_bytes())?;
            check_length("/auth/value", value.bytes())
        }
    }
}

fn check_header_name(name: &str) -> Result<(), Problem> {
    let Ok(parsed) = HeaderName::try_from(name) else {
        return Err(wrong("/auth/name", "it is no name of a header"));
    };
    let parsed = parsed.as_str();
    if RESERVED.contains(&parsed) || parsed.starts_with(RESERVED_PREFIX) {
        let reason =
            "this header belongs to the message or the connection, and cannot carry a credential";
        return Err(wrong("/auth/name", reason));
    }
    Ok(())
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
    fn names_of_auth_headers() {
        for fine in ["X-Api-Key", "Authorization", "Cookie"] {
            assert!(check_header_name(fine).is_ok(), "{fine}");
        }
        for wrong in
            ["Host", "Content-Length", "content-type", "Transfer-Encoding", "TE", "a b", ""]
        {
            assert!(check_header_name(wrong).is_err(), "{wrong}");
        }
    }
}
