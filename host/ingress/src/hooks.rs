//! `POST /hooks/<tenant>/<path>`: verify, read, store, answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tombolo_core::id::IdSource;
use tombolo_core::workflow::Respond;

use crate::delivery::{Delivery, Seal};
use crate::expression::Expressions;
use crate::problem::Problem;
use crate::tenants::Tenants;
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
    let correlation_id = correlation_id(&parts.headers, &*state.ids);
    let raw = body::read(&parts, body, state.settings.body_limit).await?;
    let public_url = state.settings.public_url.clone();
    let delivery = Delivery { hook: hook.clone(), parts, raw, public_url };
    let secrets = match delivery.required()? {
        Some(required) => secrets::open(state, hook.tenant, required.secrets).await?,
        None => Vec::new(),
    };
    let now = state.clock.now();
    let read = delivery.read(Seal { secrets, now_ms: now.0 }).await?;
    let expressions = Expressions { sandbox: &*state.sandbox, hook: &hook, now };
    let mut arrivals = event::arrivals(&expressions, read, &correlation_id).await?;
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

/// The sender's correlation id if it has a safe one, else a new one.
fn correlation_id(headers: &HeaderMap, ids: &dyn IdSource) -> String {
    headers
        .get("x-correlation-id")
        .and_then(|value| value.to_str().ok())
        .filter(|text| !text.is_empty() && text.len() <= MAX_CORRELATION_ID)
        .filter(|text| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b)))
        .map_or_else(|| ids.next().simple().to_string(), str::to_owned)
}
