//! From a verified request to the events it carries.

use axum::http::{HeaderMap, Method};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tombolo_core::ports::intake::{Arrival, Hook};
use tombolo_core::workflow::{Dedupe, DedupeSource, VerifyScheme};

use crate::problem::Problem;
use crate::verify::Verified;
use crate::{IngressState, MAX_SPLIT, expression};

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

/// A request whose sender is verified and whose body is read.
pub(crate) struct Request<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    pub query: Option<&'a str>,
    pub body: Value,
    pub raw: &'a [u8],
    pub scheme: Option<&'a VerifyScheme>,
    pub verified: Option<Verified>,
    pub correlation_id: String,
}

/// The events in a request, each with its dedupe key.
pub(crate) async fn arrivals(
    state: &IngressState,
    hook: &Hook,
    request: Request<'_>,
) -> Result<Vec<Arrival>, Problem> {
    let about = about(hook, &request);
    let base = delivery_key(&request);
    let items = match &hook.webhook.split {
        None => vec![request.body.clone()],
        Some(text) => split(state, hook, text, &request).await?,
    };
    let several = hook.webhook.split.is_some();
    let mut arrivals = Vec::with_capacity(items.len());
    for (at, item) in items.into_iter().enumerate() {
        let dedupe_key = match &hook.webhook.dedupe {
            Some(Dedupe::Expression(text)) => {
                match expression::value(state, hook, "dedupe", text, &item).await? {
                    Value::Null => hash(item.to_string().as_bytes()),
                    Value::String(key) => key,
                    other => other.to_string(),
                }
            }
            Some(Dedupe::Header { header }) => numbered(
                header_value(&request, header).unwrap_or_else(|| hash(request.raw)),
                at,
                several,
            ),
            None => numbered(base.clone(), at, several),
        };
        arrivals.push(Arrival {
            tenant: hook.tenant,
            source: format!("hook:{}", hook.path),
            dedupe_key: bounded(dedupe_key),
            fingerprint: None,
            trigger: item,
            event: about.clone(),
            correlation_id: request.correlation_id.clone(),
            subscribers: hook.subscribers.clone(),
        });
    }
    Ok(arrivals)
}

async fn split(
    state: &IngressState,
    hook: &Hook,
    text: &str,
    request: &Request<'_>,
) -> Result<Vec<Value>, Problem> {
    let scope = json!({
        "body": request.body,
        "headers": kept_headers(request),
        "query": query_fields(request.query),
        "method": request.method.as_str(),
        "path": hook.path,
    });
    match expression::value(state, hook, "split", text, &scope).await? {
        Value::Array(items) if items.len() <= MAX_SPLIT => Ok(items),
        Value::Array(items) => {
            let message = format!(
                "it gave {} items, the limit is {MAX_SPLIT} (limit max_split)",
                items.len()
            );
            Err(Problem::expression("split", text, &message))
        }
        _ => Err(Problem::expression("split", text, "it has to give a list")),
    }
}

/// What expressions see as `.event`.
fn about(hook: &Hook, request: &Request<'_>) -> Map<String, Value> {
    let mut about = Map::new();
    about.insert("source".to_owned(), json!(format!("hook:{}", hook.path)));
    about.insert("headers".to_owned(), kept_headers(request));
    about.insert("query".to_owned(), query_fields(request.query));
    if let Some(sent) = request.verified.as_ref().and_then(|verified| verified.timestamp_ms) {
        about.insert("sent_at".to_owned(), json!(tombolo_core::clock::Timestamp(sent)));
    }
    about
}

/// What identifies the delivery as a whole: the provider's id, else the body's hash.
fn delivery_key(request: &Request<'_>) -> String {
    let from_header = request.verified.as_ref().and_then(|verified| verified.dedupe.clone());
    let from_body = || match request.scheme.and_then(|scheme| scheme.dedupe.as_ref()) {
        Some(DedupeSource::BodyPointer(pointer)) => match request.body.pointer(pointer) {
            Some(Value::String(id)) => Some(id.clone()),
            Some(Value::Null) | None => None,
            Some(other) => Some(other.to_string()),
        },
        _ => None,
    };
    from_header.or_else(from_body).unwrap_or_else(|| hash(request.raw))
}

fn header_value(request: &Request<'_>, name: &str) -> Option<String> {
    request.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Items of one delivery share its key and differ by their place.
fn numbered(key: String, at: usize, several: bool) -> String {
    if several { format!("{key}#{at}") } else { key }
}

/// Longest dedupe key that is stored as it is; a longer one is stored as its hash.
const MAX_DEDUPE_KEY: usize = 255;

fn bounded(key: String) -> String {
    if key.len() <= MAX_DEDUPE_KEY { key } else { hash(key.as_bytes()) }
}

fn hash(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn kept_headers(request: &Request<'_>) -> Value {
    let kept = |name: &str| {
        KEPT_HEADERS.contains(&name) || KEPT_PREFIXES.iter().any(|start| name.starts_with(start))
    };
    let signature = request.scheme.map(|scheme| scheme.signature.header.to_ascii_lowercase());
    let fields = request
        .headers
        .iter()
        .filter(|(name, _)| kept(name.as_str()) && Some(name.as_str()) != signature.as_deref())
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), json!(value.to_str().ok()?))))
        .collect();
    Value::Object(fields)
}

/// Query parameters; the last of a name counts.
fn query_fields(query: Option<&str>) -> Value {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    Value::Object(pairs.map(|(name, value)| (name.into_owned(), json!(value))).collect())
}
