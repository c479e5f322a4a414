//! What makes two deliveries the same event: the dedupe key of each event in a delivery.

use axum::http::HeaderMap;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tombolo_core::workflow::{Dedupe, DedupeSource, Webhook};

use crate::expression::{Expression, Expressions};
use crate::problem::Problem;
use crate::verify::{Refusal, Required, Verified, only_value};

/// Longest dedupe key that is stored as it is; a longer one is stored as its hash.
const MAX_DEDUPE_KEY: usize = 255;

/// What a key of a whole delivery is made of.
pub(crate) struct Delivered<'a> {
    pub required: Option<Required<'a>>,
    pub verified: Option<&'a Verified>,
    pub headers: &'a HeaderMap,
    pub body: &'a Value,
    pub raw: &'a [u8],
}

/// What identifies the delivery as a whole: the header that the trigger names, else the provider's
/// id, else the body's hash. None where the trigger has an expression, which looks at each item.
///
/// # Errors
/// If the header is there twice: by one of its values this is another event than by the other.
pub(crate) fn delivery_key(
    webhook: &Webhook,
    delivered: &Delivered<'_>,
) -> Result<Option<String>, Refusal> {
    let named = match &webhook.dedupe {
        Some(Dedupe::Expression(_)) => return Ok(None),
        Some(Dedupe::Header { header }) => {
            let value = only_value(delivered.headers, header)?;
            value.and_then(|value| value.to_str().ok()).map(str::to_owned)
        }
        None => delivered
            .verified
            .and_then(|verified| verified.dedupe.clone())
            .or_else(|| delivered.id_in_body()),
    };
    Ok(Some(named.filter(|key| !key.is_empty()).unwrap_or_else(|| hash(delivered.raw))))
}

impl Delivered<'_> {
    fn id_in_body(&self) -> Option<String> {
        let required = self.required?;
        if let Some(DedupeSource::BodyPointer(pointer)) = &required.scheme.dedupe {
            return self.body.pointer(pointer).and_then(text_of);
        }
        match self.body {
            Value::Array(items) if !items.is_empty() => {
                let ids: Option<Vec<_>> =
                    items.iter().map(|item| item_key(item, required.item_id)).collect();
                ids.map(|ids| ids.join(","))
            }
            body => item_key(body, required.item_id),
        }
    }
}

/// The dedupe key of each item. `delivery` is the key of the whole.
pub(crate) async fn keys(
    expressions: &Expressions<'_>,
    required: Option<Required<'_>>,
    delivery: Option<String>,
    items: &[Value],
) -> Result<Vec<String>, Problem> {
    let webhook = &expressions.hook.webhook;
    if let Some(Dedupe::Expression(text)) = &webhook.dedupe {
        let values = expressions.each(Expression { key: "dedupe", text }, items).await?;
        let key = |(value, item): (&Value, &Value)| {
            text_of(value).unwrap_or_else(|| hash(item.to_string().as_bytes()))
        };
        return Ok(values.iter().zip(items).map(key).map(bounded).collect());
    }
    let delivery = delivery.unwrap_or_default();
    if webhook.split.is_none() {
        return Ok(vec![bounded(delivery); items.len()]);
    }
    // A header is what the trigger asks for; otherwise an item's own id is better than its place,
    // which may be another one when the sender tries again.
    let ids = match &webhook.dedupe {
        None => required.map_or(&[][..], |required| required.item_id),
        Some(_) => &[],
    };
    let key = |(at, item)| item_key(item, ids).unwrap_or_else(|| format!("{delivery}#{at}"));
    Ok(items.iter().enumerate().map(key).map(bounded).collect())
}

/// The values at `pointers`, if there are any and the item has all of them.
fn item_key(item: &Value, pointers: &[String]) -> Option<String> {
    if pointers.is_empty() {
        return None;
    }
    let parts: Option<Vec<_>> =
        pointers.iter().map(|pointer| item.pointer(pointer).and_then(text_of)).collect();
    parts.map(|parts| parts.join("-"))
}

/// A value as a key. Null and the empty text are none: they would make one event of many.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    }
}

fn bounded(key: String) -> String {
    if key.len() <= MAX_DEDUPE_KEY { key } else { hash(key.as_bytes()) }
}

fn hash(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
