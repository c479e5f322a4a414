//! `POST /hooks/<tenant>/<path>`: verify, read, store, answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;
use tombolo_core::id::IdSource;
use tombolo_core::json;
use tombolo_core::ports::intake::Hook;
use tombolo_core::workflow::{Respond, VerifyScheme};

use crate::problem::Problem;
use crate::tenants::Tenants;
use crate::verify::{Refusal, Signed, Verified, resolve, verify};
use crate::{IngressState, answer, body, event, secrets};

/// How long a sender waits for a result if its trigger says nothing.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);

/// Longest correlation id that is taken over from a sender.
const MAX_CORRELATION_ID: usize = 128;

/// What the route works with.
struct App {
    ports: IngressState,
    tenants: Tenants,
}

/// The webhook routes.
pub fn router(state: IngressState) -> Router {
    Router::new()
        .route("/hooks/{tenant}/{*path}", post(receive))
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::new(App { ports: state, tenants: Tenants::default() }))
}

async fn receive(
    State(app): State<Arc<App>>,
    Path((tenant, path)): Path<(String, String)>,
    request: Request,
) -> Response {
    match take(&app, &tenant, &path, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn wrong_method(method: Method) -> Problem {
    Problem::wrong_method(&method)
}

async fn take(app: &App, tenant: &str, path: &str, request: Request) -> Result<Response, Problem> {
    let state = &app.ports;
    let tenant = app.tenants.find(&*state.store, tenant).await.map_err(Problem::from_store)?;
    let hook = tenant
        .and_then(|tenant| state.subscriptions.hook(tenant, path))
        .ok_or_else(|| Problem::no_hook(path))?;
    let (parts, body) = request.into_parts();
    let raw = body::read(&parts, body, state.settings.body_limit).await?;
    let (scheme, verified) = check(state, &hook, &parts, &raw).await?;
    let request = event::Request {
        method: &parts.method,
        headers: &parts.headers,
        query: parts.uri.query(),
        body: if raw.is_empty() {
            Value::Null
        } else {
            json::parse(&raw).map_err(|error| Problem::invalid_json(&error))?
        },
        raw: &raw,
        scheme,
        verified,
        correlation_id: correlation_id(&parts.headers, &*state.ids),
    };
    let mut arrivals = event::arrivals(state, &hook, request).await?;
    match hook.webhook.respond {
        Respond::Result if arrivals.len() == 1 => {
            let patience = hook.webhook.patience.map_or(DEFAULT_PATIENCE, |span| span.0);
            let waited = state.intake.accept_and_wait(arrivals.remove(0), patience).await;
            let (accepted, result) = waited.map_err(Problem::from_store)?;
            Ok(answer::result(&accepted, result))
        }
        _ => {
            let accepted = state.intake.accept(arrivals).await.map_err(Problem::from_store)?;
            Ok(answer::accepted(&accepted))
        }
    }
}

/// Who sent it. Fails closed: a trigger that is not open needs a good signature.
async fn check<'h>(
    state: &IngressState,
    hook: &'h Hook,
    parts: &Parts,
    raw: &[u8],
) -> Result<(Option<&'h VerifyScheme>, Option<Verified>), Problem> {
    let required =
        resolve(&hook.webhook.verify).map_err(|_| Problem::refused(&Refusal::UnusableScheme))?;
    let Some(required) = required else {
        return Ok((None, None));
    };
    let secrets = secrets::open(state, hook.tenant, required.secrets).await?;
    let path = parts.uri.path_and_query().map_or(parts.uri.path(), |both| both.as_str());
    let url = format!("{}{path}", state.settings.public_url);
    let signed =
        Signed { method: &parts.method, url: &url, path, headers: &parts.headers, body: raw };
    let verified = verify(required.scheme, &secrets, &signed, state.clock.now().0)
        .map_err(|refusal| Problem::refused(&refusal))?;
    Ok((Some(required.scheme), Some(verified)))
}

/// The sender's correlation id if it has a safe one, else a new one.
fn correlation_id(headers: &HeaderMap, ids: &dyn IdSource) -> String {
    headers
        .get("x-correlation-id")
        .and_then(|value| value.to_str().ok())
        .filter(|text| !text.is_empty() && text.len() <= MAX_CORRELATION_ID)
        .filter(|text| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b)))
        .map_or_else(|| ids.next().simple().to_string(), str::to_owned)
}
