//! What is kept of a request beside its body: headers and query, without what may be a credential.

use std::borrow::Cow;

use axum::http::HeaderMap;
use serde_json::{Value, json};
use tombolo_core::secret::{REDACTED, names_a_secret};
use tombolo_core::workflow::SignatureSource;

use crate::verify::presets;

/// Headers that are kept with the event. Everything else may carry a credential.
const KEPT_HEADERS: [&str; 6] =
    ["content-type", "user-agent", "x-request-id", "x-correlation-id", "date", "origin"];

/// Starts of header names that are kept, too: what providers say about the event itself.
const KEPT_PREFIXES: [&str; 8] = [
    "x-github-",
    "x-shopify-",
    "x-hubspot-request-",
    "x-gitlab-event",
    "webhook-id",
    "webhook-timestamp",
    "svix-id",
    "linear-",
];

/// Headers that are never kept, whatever else is said.
const NEVER_KEPT: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];

/// The headers that are kept. A signature never is: neither the trigger's own
/// `signature`, nor that of any preset, which a sender may send although this trigger does not ask for it.
pub(crate) fn headers(headers: &HeaderMap, signature: Option<&SignatureSource>) -> Value {
    let fields = headers
        .iter()
        .filter(|(name, _)| is_kept(name.as_str()) && !is_signature(name.as_str(), signature))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), json!(value.to_str().ok()?))))
        .collect();
    Value::Object(fields)
}

/// `name` is in lower case.
fn is_kept(name: &str) -> bool {
    let known =
        KEPT_HEADERS.contains(&name) || KEPT_PREFIXES.iter().any(|start| name.starts_with(start));
    known && !NEVER_KEPT.contains(&name) && !names_a_secret(name)
}

fn is_signature(name: &str, signature: Option<&SignatureSource>) -> bool {
    presets()
        .map(|(_, preset)| &preset.scheme.signature)
        .chain(signature)
        .any(|signature| signature.header.eq_ignore_ascii_case(name))
}

/// Query parameters; the last of a name counts. What is named like a secret is taken out.
pub(crate) fn query(query: Option<&str>) -> Value {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let field = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
        let value = if names_a_secret(&name) { json!(REDACTED) } else { json!(value) };
        (name.into_owned(), value)
    };
    Value::Object(pairs.map(field).collect())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;
    use crate::verify::preset;

    fn kept(names: &[&str], signature: Option<&SignatureSource>) -> Vec<String> {
        let mut given = HeaderMap::new();
        for name in names {
            given.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("x"));
        }
        let kept = headers(&given, signature);
        kept.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn what_the_provider_says_of_the_event_is_kept() {
        let names = [
            "content-type",
            "linear-delivery",
            "svix-id",
            "webhook-id",
            "x-github-event",
            "x-hubspot-request-timestamp",
            "x-shopify-topic",
        ];
        assert_eq!(kept(&names, None), names);
        assert!(kept(&["x-mine", "accept", "x-forwarded-for"], None).is_empty());
    }

    #[test]
    fn no_credential_and_no_signature_is_kept() {
        let secrets = [
            "Authorization",
            "Cookie",
            "Proxy-Authorization",
            "X-Api-Key",
            "X-Shopify-Access-Token",
            "X-GitHub-Token",
            // Of the presets.
            "Linear-Signature",
            "Stripe-Signature",
            "X-Hub-Signature-256",
            "X-Shopify-Hmac-Sha256",
            "X-Slack-Signature",
            "svix-signature",
            "webhook-signature",
        ];
        assert!(kept(&secrets, None).is_empty());
        for (name, preset) in presets() {
            assert!(kept(&[&preset.scheme.signature.header], None).is_empty(), "{name}");
        }
        let mut own = preset("github").unwrap().scheme.signature.clone();
        own.header = "X-GitHub-Seal".to_owned();
        assert_eq!(kept(&["x-github-seal"], None), ["x-github-seal"]);
        assert!(kept(&["x-github-seal"], Some(&own)).is_empty());
    }

    #[test]
    fn a_query_loses_what_is_named_like_a_secret() {
        assert_eq!(
            query(Some("token=a&page=2&API_Key=b&hub.verify_token=c&page=3&%74oken2=d")),
            json!({
                "token": "[redacted]", "page": "3", "API_Key": "[redacted]",
                "hub.verify_token": "[redacted]", "token2": "[redacted]",
            })
        );
        assert_eq!(query(None), json!({}));
    }
}
