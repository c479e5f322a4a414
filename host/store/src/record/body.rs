//! JSON that may be long: short text stands in the row, long text in `payload` by its hash.

use std::sync::Arc;

use tombolo_core::id::{ContentHash, TenantId};
use tombolo_core::json::Json;

use super::Damaged;

/// JSON text up to so many bytes stands in its row. Longer text is kept once per tenant, by hash.
pub const INLINE_LIMIT_BYTES: usize = 8 * 1024;

/// Two columns: the text, or the hash of where the text is. Both are None for "no value".
#[derive(Debug, Clone, Default)]
pub(crate) struct Body {
    pub(crate) text: Option<Arc<str>>,
    pub(crate) hash: Option<ContentHash>,
}

/// A row of `payload`.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    pub(crate) tenant: TenantId,
    pub(crate) hash: ContentHash,
    pub(crate) bytes: Vec<u8>,
}

impl Body {
    /// Splits `json` off into `payloads` if it is long.
    pub(crate) fn new(tenant: TenantId, json: Option<&Json>, payloads: &mut Vec<Payload>) -> Self {
        let Some(text) = json.map(Json::text) else {
            return Self::default();
        };
        if text.len() <= INLINE_LIMIT_BYTES {
            return Self { text: Some(text.into()), hash: None };
        }
        let hash = ContentHash::of(text.as_bytes());
        payloads.push(Payload { tenant, hash, bytes: text.as_bytes().to_vec() });
        Self { text: None, hash: Some(hash) }
    }

    /// Bytes that stand in the row.
    pub(crate) fn len(&self) -> usize {
        self.text.as_ref().map_or(0, |text| text.len())
    }
}

/// Reads the two columns back; `text` was joined from `payload` where it stands there.
pub(crate) fn stored_body(
    text: Option<String>,
    hash: Option<&[u8]>,
    what: &str,
) -> Result<Option<Json>, Damaged> {
    match (text, hash) {
        (Some(text), _) => Json::from_stored(text)
            .map(Some)
            .map_err(|error| Damaged(format!("{what} cannot be read: {error}"))),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Damaged(format!("{what}: its payload is missing"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(bytes: usize) -> Json {
        Json::from_trusted(format!("\"{}\"", "x".repeat(bytes - 2)))
    }

    #[test]
    fn text_at_the_limit_stands_in_the_row_and_one_byte_more_does_not() {
        let tenant = TenantId(uuid::Uuid::nil());
        let mut payloads = Vec::new();
        let short = Body::new(tenant, Some(&json(INLINE_LIMIT_BYTES)), &mut payloads);
        assert_eq!(short.len(), INLINE_LIMIT_BYTES);
        assert!(short.hash.is_none() && payloads.is_empty());

        let long = Body::new(tenant, Some(&json(INLINE_LIMIT_BYTES + 1)), &mut payloads);
        assert!(long.text.is_none());
        assert_eq!(long.hash, Some(payloads[0].hash));
        assert_eq!(payloads[0].bytes.len(), INLINE_LIMIT_BYTES + 1);
    }

    #[test]
    fn a_missing_payload_is_damage_and_not_a_missing_value() {
        assert_eq!(stored_body(None, None, "step").unwrap(), None);
        assert!(stored_body(None, Some(&[0; 32]), "step").is_err());
        assert!(stored_body(Some("{\"a\":".to_owned()), None, "step").is_err());
    }
}
