//! What HubSpot sends to a webhook: the event array of the integration guide, and the signature of
//! version 3. Never sends anything itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{APP_ID, PORTAL_ID, SEED_DEAL_ID};

/// The headers of a `POST` of this body to this URI, signed with the app's client secret.
///
/// The signature is `base64(HMAC-SHA256(secret, "POST" + uri + body + timestamp))`, the timestamp
/// in milliseconds since 1970 as decimal text (HubSpot, "Validating requests", version 3). The URI
/// is the whole one HubSpot would call, with scheme, host and query; it is signed as it is given.
pub fn signed_delivery(secret: &str, uri: &str, body: &[u8], timestamp_ms: i64) -> HeaderMap {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(b"POST");
    mac.update(uri.as_bytes());
    mac.update(body);
    mac.update(timestamp_ms.to_string().as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());

    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        "x-hubspot-signature-v3",
        HeaderValue::from_str(&signature).expect("base64 is plain ASCII"),
    );
    headers.insert("x-hubspot-request-timestamp", timestamp_ms.into());
    headers
}

/// The array with one event that says: the seeded deal was won. Each key of `overrides`, an object,
/// replaces the event's; null takes a key away.
pub fn deal_won_event(overrides: Value) -> Value {
    let mut event = json!({
        "eventId": 1,
        "subscriptionId": 12345,
        "portalId": PORTAL_ID,
        "appId": APP_ID,
        "occurredAt": 1_678_886_400_000_i64,
        "subscriptionType": "deal.propertyChange",
        "attemptNumber": 0,
        "objectId": SEED_DEAL_ID,
        "propertyName": "dealstage",
        "propertyValue": "closedwon",
        "changeSource": "CRM",
    });
    if let (Value::Object(event), Value::Object(overrides)) = (&mut event, overrides) {
        for (key, value) in overrides {
            if value.is_null() {
                event.shift_remove(&key);
            } else {
                event.insert(key, value);
            }
        }
    }
    json!([event])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed independently:
    /// `printf 'POSThttps://example.com/hook{}1700000000000' | openssl dgst -sha256 -hmac secret -binary | base64`
    #[test]
    fn the_signature_is_the_documented_one() {
        let headers =
            signed_delivery("secret", "https://example.com/hook", b"{}", 1_700_000_000_000);
        assert_eq!(
            headers["x-hubspot-signature-v3"],
            "rRpSLcEM6XHmPKI8EZTxQsmhW0uVNFhheBsAZYeoHx8="
        );
        assert_eq!(headers["x-hubspot-request-timestamp"], "1700000000000");
    }

    #[test]
    fn overrides_replace_add_and_take_away() {
        let event = deal_won_event(json!({ "eventId": 7, "appId": null, "extra": true }));
        assert_eq!(event[0]["eventId"], 7);
        assert_eq!(event[0]["objectId"], 123_456_789);
        assert_eq!(event[0]["extra"], true);
        assert!(event[0].get("appId").is_none());
    }
}
