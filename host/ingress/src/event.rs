//! From a delivery that was read to the events it carries.

use serde_json::{Map, Value, json};
use tombolo_core::clock::Timestamp;
use tombolo_core::ports::intake::Arrival;

use crate::delivery::{Delivery, Read};
use crate::expression::{Expression, Expressions};
use crate::problem::Problem;
use crate::{MAX_SPLIT, dedupe, kept};

/// The events in a delivery, each with its dedupe key.
pub(crate) async fn arrivals(
    expressions: &Expressions<'_>,
    read: Read,
    correlation_id: &str,
) -> Result<Vec<Arrival>, Problem> {
    let Read { delivery, body, verified, key } = read;
    let required = delivery.required()?;
    let hook = expressions.hook;
    let about = About {
        headers: kept::headers(
            &delivery.parts.headers,
            required.map(|required| &required.scheme.signature),
        ),
        query: kept::query(delivery.parts.uri.query()),
        sent_at: verified.and_then(|verified| verified.timestamp_ms),
    };
    let items = match &hook.webhook.split {
        None => vec![body],
        Some(text) => split(expressions, text, body, &delivery, &about).await?,
    };
    let keys = dedupe::keys(expressions, required, key, &items).await?;
    let source = format!("hook:{}", hook.path);
    let event = about.event(&source);
    let arrival = |(item, dedupe_key)| Arrival {
        tenant: hook.tenant,
        source: source.clone(),
        dedupe_key,
        fingerprint: None,
        trigger: item,
        event: event.clone(),
        correlation_id: correlation_id.to_owned(),
        subscribers: hook.subscribers.clone(),
        by: None,
    };
    Ok(items.into_iter().zip(keys).map(arrival).collect())
}

/// What is kept of the request beside its body.
struct About {
    headers: Value,
    query: Value,
    sent_at: Option<i64>,
}

impl About {
    /// What expressions see as `.event`.
    fn event(self, source: &str) -> Map<String, Value> {
        let mut event = Map::new();
        event.insert("source".to_owned(), json!(source));
        event.insert("headers".to_owned(), self.headers);
        event.insert("query".to_owned(), self.query);
        if let Some(sent_at) = self.sent_at {
            event.insert("sent_at".to_owned(), json!(Timestamp(sent_at)));
        }
        event
    }
}

async fn split(
    expressions: &Expressions<'_>,
    text: &str,
    body: Value,
    delivery: &Delivery,
    about: &About,
) -> Result<Vec<Value>, Problem> {
    let mut scope = json!({
        "headers": about.headers,
        "query": about.query,
        "method": delivery.parts.method.as_str(),
        "path": expressions.hook.path,
    });
    // Moved, not copied: it may be large.
    scope["body"] = body;
    let split = Expression { key: "split", text };
    match expressions.value(split, &scope).await? {
        Value::Array(items) if items.len() <= MAX_SPLIT => Ok(items),
        Value::Array(items) => {
            let given = items.len();
            let message =
                format!("it gave {given} items, the limit is {MAX_SPLIT} (limit max_split)");
            Err(Problem::expression(split, &message))
        }
        _ => Err(Problem::expression(split, "it has to give a list")),
    }
}

#[cfg(test)]
mod tests;
