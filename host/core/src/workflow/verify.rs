//! How a webhook's sender is checked: what a trigger writes, and a sender's signature scheme as data.
//!
//! Owns the shapes only. Never verifies and never holds a secret: a trigger names its secrets, and
//! `tombolo-ingress` does the checking.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// How many secrets one trigger may name: the current one and those being rotated out.
pub const MAX_VERIFY_SECRETS: usize = 5;

/// How a webhook trigger checks its sender: `"none"`, a preset by name, or a scheme written out.
///
/// There is no default. A trigger that anybody may call says so with `"none"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Verify {
    /// `"none"`: whoever knows the address may send.
    Open(VerifyOpen),
    /// A preset that comes with Tombolo.
    Preset(VerifyPreset),
    /// A scheme written in the workflow.
    Scheme(VerifyCustom),
}

/// The word that switches verification off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerifyOpen {
    /// Nothing is checked.
    None,
}

/// Verification by a preset: `{"preset": "hubspot-v3", "secrets": ["hubspot-app"]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct VerifyPreset {
    /// The preset's name, such as `hubspot-v3`.
    pub preset: String,
    /// Names of the secrets; a signature made with any of them is good.
    #[schemars(length(min = 1, max = MAX_VERIFY_SECRETS))]
    pub secrets: Vec<String>,
}

/// Verification by a scheme written out: `{"scheme": {...}, "secrets": ["acme"]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct VerifyCustom {
    /// How the sender signs.
    pub scheme: Box<VerifyScheme>,
    /// Names of the secrets; a signature made with any of them is good.
    #[schemars(length(min = 1, max = MAX_VERIFY_SECRETS))]
    pub secrets: Vec<String>,
}

/// How a sender signs its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyScheme {
    /// Where the signature is and how it is written.
    pub signature: SignatureSource,
    /// The kinds of signature that are good. More than one where the header carries labelled
    /// signatures of several kinds.
    pub accept: Vec<AcceptedSignature>,
    /// What is signed: these parts, one after the other, with nothing between them.
    pub content: Vec<ContentPart>,
    /// The time of sending, if the sender states one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<TimestampRule>,
    /// The header that carries the `id` part of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_header: Option<String>,
    /// What identifies a delivery, the same when the sender tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<DedupeSource>,
    /// Characters whose percent escapes the sender may have decoded in the URL before it signed.
    /// The URL is tried as called, and with these decoded. Empty: as called only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url_unescape: String,
}

/// The header with the signature, and its form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignatureSource {
    /// The header's name.
    pub header: String,
    /// How the header is written.
    pub form: SignatureForm,
}

/// How a signature header is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignatureForm {
    /// The signature and nothing else.
    Raw,
    /// This text, then the signature: `sha256=<signature>`.
    Prefix(String),
    /// Pairs split at commas, labels before `=`: `t=<timestamp>,v1=<signature>`.
    Pairs,
    /// A list split at spaces, labels before a comma: `v1,<signature> v1a,<signature>`.
    List,
}

/// One kind of signature that is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptedSignature {
    /// The label in a header of the form `pairs` or `list`; absent in the other forms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How it is computed.
    pub algorithm: SignatureAlgorithm,
    /// How its bytes are written.
    pub encoding: SignatureEncoding,
    /// How the key is read from the secret.
    #[serde(default, skip_serializing_if = "KeyRule::is_default")]
    pub key: KeyRule,
}

/// How a signature is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureAlgorithm {
    /// HMAC with SHA-1 (RFC 2104): only for senders that offer nothing better.
    HmacSha1,
    /// HMAC with SHA-256 (RFC 2104).
    HmacSha256,
    /// HMAC with SHA-512 (RFC 2104).
    HmacSha512,
    /// Ed25519 (RFC 8032). The secret is the sender's public key.
    Ed25519,
}

/// How the bytes of a signature are written. Read strictly: no other alphabet, no trailing bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureEncoding {
    /// Hexadecimal, in either case.
    Hex,
    /// Base64 with the standard alphabet and padding (RFC 4648, section 4).
    Base64,
}

/// How a key is read from a secret. The default takes the secret's bytes as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRule {
    /// What the secret has to start with; not part of the key. A secret that starts otherwise is
    /// not used, so that a public key can never pass for a shared one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How the rest is written.
    #[serde(default)]
    pub encoding: KeyEncoding,
    /// The same as `prefix` for the private key, where the sender's differs from the receiver's.
    /// Only used to sign test deliveries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_prefix: Option<String>,
}

impl KeyRule {
    /// True if the secret's bytes are the key.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How a key is written in a secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyEncoding {
    /// As it is: the bytes of the text.
    #[default]
    Utf8,
    /// Base64 with the standard alphabet and padding.
    Base64,
    /// Hexadecimal.
    Hex,
}

/// A part of what is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentPart {
    /// The timestamp, letter for letter as sent.
    Timestamp,
    /// The value of `id_header`, letter for letter as sent.
    Id,
    /// The HTTP method in upper case.
    Method,
    /// The URL as the sender calls it, with its query, built from the configured public address.
    Url,
    /// Path and query of that URL.
    Path,
    /// The body, byte for byte as received.
    Body,
    /// This text.
    Literal(String),
}

/// Where the time of sending is, and how far it may be from now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimestampRule {
    /// Where it is.
    pub from: TimestampSource,
    /// How it is written.
    pub unit: TimestampUnit,
    /// How old it may be, in seconds.
    #[serde(default = "default_tolerance_s")]
    pub past_s: u32,
    /// How far ahead it may be, in seconds.
    #[serde(default = "default_tolerance_s")]
    pub future_s: u32,
}

/// Five minutes, as nearly every sender recommends.
fn default_tolerance_s() -> u32 {
    300
}

/// Where the time of sending is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimestampSource {
    /// The header of this name. It has to be part of the content, else anybody could change it.
    Header(String),
    /// The pair with this label in a signature header of the form `pairs`. Part of the content too.
    Parameter(String),
    /// This JSON pointer (RFC 6901) into the body.
    BodyPointer(String),
}

/// How the time of sending is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimestampUnit {
    /// Seconds since 1970.
    S,
    /// Milliseconds since 1970.
    Ms,
    /// A date and time of RFC 3339, such as `2026-11-22T04:24:00Z`.
    Rfc3339,
}

/// What identifies a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DedupeSource {
    /// The header of this name.
    Header(String),
    /// This JSON pointer (RFC 6901) into the body.
    BodyPointer(String),
}

/// The fields of [`VerifyPreset`] and [`VerifyCustom`] together, so that an error can name the
/// field that is wrong instead of saying that no variant fits.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyFields {
    preset: Option<String>,
    scheme: Option<Box<VerifyScheme>>,
    secrets: Vec<String>,
}

impl<'de> Deserialize<'de> for Verify {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VerifyVisitor)
    }
}

struct VerifyVisitor;

impl<'de> Visitor<'de> for VerifyVisitor {
    type Value = Verify;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"none\" or an object with `secrets` and either `preset` or `scheme`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Verify, E> {
        match text {
            "none" => Ok(Verify::Open(VerifyOpen::None)),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Verify, A::Error> {
        let VerifyFields { preset, scheme, secrets } =
            VerifyFields::deserialize(MapAccessDeserializer::new(map))?;
        if secrets.is_empty() || secrets.len() > MAX_VERIFY_SECRETS {
            return Err(A::Error::custom(format_args!(
                "`secrets` names {} secrets, must be 1 to {MAX_VERIFY_SECRETS}",
                secrets.len()
            )));
        }
        match (preset, scheme) {
            (Some(preset), None) => Ok(Verify::Preset(VerifyPreset { preset, secrets })),
            (None, Some(scheme)) => Ok(Verify::Scheme(VerifyCustom { scheme, secrets })),
            (Some(_), Some(_)) => Err(A::Error::custom("give `preset` or `scheme`, not both")),
            (None, None) => Err(A::Error::custom("give `preset` or `scheme`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: serde_json::Value) -> Result<Verify, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn every_way_of_writing_it_round_trips() {
        for written in [
            json!("none"),
            json!({"preset": "hubspot-v3", "secrets": ["hubspot-app"]}),
            json!({"scheme": {
                "signature": {"header": "X-Acme", "form": {"prefix": "sha256="}},
                "accept": [{"algorithm": "hmac-sha256", "encoding": "hex"}],
                "content": ["timestamp", {"literal": "."}, "body"],
                "timestamp": {"from": {"header": "X-Time"}, "unit": "ms", "past_s": 300, "future_s": 60},
                "dedupe": {"body_pointer": "/id"}
            }, "secrets": ["a", "b"]}),
        ] {
            let verify = parse(written.clone()).unwrap();
            assert_eq!(serde_json::to_value(&verify).unwrap(), written);
        }
    }

    #[test]
    fn a_mistake_is_named() {
        let six = ["a"; MAX_VERIFY_SECRETS + 1];
        for (written, told) in [
            (json!("off"), "expected \"none\" or an object"),
            (json!(null), "expected \"none\" or an object"),
            (json!({"preset": "github"}), "missing field `secrets`"),
            (json!({"preset": "github", "secrets": []}), "must be 1 to 5"),
            (json!({"preset": "github", "secrets": six}), "names 6 secrets"),
            (json!({"preset": "github", "secret": ["a"]}), "unknown field `secret`"),
            (json!({"secrets": ["a"]}), "give `preset` or `scheme`"),
            (
                json!({"preset": "github", "scheme": {}, "secrets": ["a"]}),
                "missing field `signature`",
            ),
        ] {
            let error = parse(written.clone()).unwrap_err();
            assert!(error.contains(told), "{written}: {error}");
        }
    }
}
