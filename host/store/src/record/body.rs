//! JSON that may be long: short text stands in a pack or in the row, long text in `payload` by its
//! hash.

use tombolo_core::id::{ContentHash, TenantId};
use tombolo_core::json::Json;

use super::{Damaged, Payload, Text, unpack};

/// JSON text up to so many bytes stands in a pack, or in its row. Longer text is kept once per tenant,
/// by hash.
pub const INLINE_LIMIT_BYTES: usize = 8 * 1024;

/// Two columns: the text or its place in a pack, or the hash of where the text is. Both are None for "no value".
#[derive(Debug, Clone, Default)]
pub(crate) struct Body {
    pub(crate) text: Option<Text>,
    pub(crate) hash: Option<ContentHash>,
}

impl Body {
    /// Splits `json` off into `payloads` if it is long; else it stands in the row.
    pub(crate) fn in_row(tenant: TenantId, json: &Json, payloads: &mut Vec<Payload>) -> Self {
        let text = json.text();
        if text.len() <= INLINE_LIMIT_BYTES {
            return Self { text: Some(Text::InRow(text.into())), hash: None };
        }
        let hash = ContentHash::of(text.as_bytes());
        payloads.push(Payload::new(tenant, hash, text.as_bytes()));
        Self { text: None, hash: Some(hash) }
    }

    /// Bytes that stand in the row.
    pub(crate) fn len(&self) -> usize {
        self.text.as_ref().map_or(0, Text::len)
    }
}

/// The columns of a body as they are read, with its text where that is in a pack, and with the
/// columns of its payload where it has one.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoredBody<'a> {
    pub(crate) text: Option<String>,
    pub(crate) hash: Option<&'a [u8]>,
    /// Bytes and encoding.
    pub(crate) payload: Option<(&'a [u8], i64)>,
}

impl StoredBody<'_> {
    /// Reads the columns back; `what` says whose they are.
    pub(crate) fn json(self, what: &str) -> Result<Option<Json>, Damaged> {
        let damaged = |reason: &dyn std::fmt::Display| Damaged(format!("{what}: {reason}"));
        let text = match (self.text, self.hash, self.payload) {
            (Some(text), ..) => text,
            (None, None, _) => return Ok(None),
            (None, Some(_), None) => return Err(damaged(&"its payload is missing")),
            (None, Some(_), Some((bytes, encoding))) => {
                let bytes = unpack(bytes, encoding).map_err(|error| damaged(&error))?.into_owned();
                String::from_utf8(bytes).map_err(|error| damaged(&error))?
            }
        };
        Json::from_stored(text)
            .map(Some)
            .map_err(|error| Damaged(format!("{what} cannot be read: {error}")))
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
        let short = Body::in_row(tenant, &json(INLINE_LIMIT_BYTES), &mut payloads);
        assert_eq!(short.len(), INLINE_LIMIT_BYTES);
        assert!(short.hash.is_none() && payloads.is_empty());

        let text = json(INLINE_LIMIT_BYTES + 1);
        let long = Body::in_row(tenant, &text, &mut payloads);
        assert!(long.text.is_none());
        assert_eq!(long.hash, Some(payloads[0].hash));
        let payload = Some((&*payloads[0].bytes, payloads[0].encoding as i64));
        let stored = StoredBody { text: None, hash: Some(&payloads[0].hash.0), payload };
        assert_eq!(stored.json("step").unwrap().unwrap().text(), text.text());
    }

    #[test]
    fn a_missing_payload_is_damage_and_not_a_missing_value() {
        let none = StoredBody::default;
        assert_eq!(none().json("step").unwrap(), None);
        assert!(StoredBody { hash: Some(&[0; 32]), ..none() }.json("step").is_err());
        assert!(StoredBody { text: Some("{\"a\":".to_owned()), ..none() }.json("step").is_err());
        let no_text = Some((&[0xff_u8][..], 0));
        let stored = StoredBody { hash: Some(&[0; 32]), payload: no_text, ..none() };
        assert!(stored.json("step").is_err());
    }
}
