//! `POST /hooks/<tenant>/<path>`: verify, read, store, answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tombolo_core::id::IdSource;
use tombolo_core::ports::intake::{Arrival, Hook};
use tombolo_core::workflow::Respond;

use crate::body::{Bodies, Held};
use crate::delivery::{self, Delivery, Seal};
use crate::expression::Expressions;
use crate::problem::Problem;
use crate::tenants::Tenants;
use crate::{IngressState, answer, body, event, room, secrets};

/// How long a sender waits for a result if its trigger says nothing.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);

/// Longest correlation id that is taken over from a sender.
const MAX_CORRELATION_ID: usize = 128;

/// What the route works with.
struct App {
    ports: IngressState,
    tenants: Tenants,
    bodies: Bodies,
}

/// The webhook routes.
pub fn router(state: IngressState) -> Router {
    let bodies = Bodies::new(state.settings.body_limit);
    Router::new()
        .route("/hooks/{tenant}/{*path}", post(receive))
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::new(App { ports: state, tenants: Tenants::default(), bodies }))
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
    let hook = find(app, tenant, path).await?;
    room::check(state, &hook)?;
    let (parts, body) = request.into_parts();
    let correlation_id = correlation_id(&parts.headers, &*state.ids);
    // The lease is kept to the end: until it is answered, a request holds what it sent.
    let Held { bytes: raw, lease: _lease } = hear(&app.bodies, &hook, &parts, body).await?;
    let public_url = state.settings.public_url.clone();
    let delivery = Delivery { hook: hook.clone(), parts, raw, public_url };
    let secrets = match delivery.required()? {
        Some(required) => secrets::open(state, hook.tenant, required.secrets).await?,
        None => Vec::new(),
    };
    let now = state.clock.now();
    let read = delivery.read(Seal { secrets, now_ms: now.0 }).await?;
    let expressions = Expressions { sandbox: &*state.sandbox, hook: &hook, now };
    let arrivals = event::arrivals(&expressions, read, &correlation_id).await?;
    room::take(state, &hook, &arrivals)?;
    hand_over(state, &hook, arrivals).await
}

async fn find(app: &App, tenant: &str, path: &str) -> Result<Arc<Hook>, Problem> {
    let state = &app.ports;
    let tenant = app.tenants.find(&*state.store, tenant).await.map_err(Problem::from_store)?;
    tenant
        .and_then(|tenant| state.subscriptions.hook(tenant, path))
        .ok_or_else(|| Problem::no_hook(path))
}

/// The body of a request whose headers are as the trigger wants them. Of others nothing is kept.
async fn hear(bodies: &Bodies, hook: &Hook, parts: &Parts, body: Body) -> Result<Held, Problem> {
    if let Err(problem) = delivery::check(hook, parts) {
        body::turn_away(parts, body).await;
        return Err(problem);
    }
    bodies.read(parts, body).await
}

/// Makes the events durable, and waits for the result if the trigger answers with it.
async fn hand_over(
    state: &IngressState,
    hook: &Hook,
    mut arrivals: Vec<Arrival>,
) -> Result<Response, Problem> {
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

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use bytes::Bytes;
    use futures_util::stream;
    use serde_json::json;

    use super::*;
    use crate::testing::hook;

    /// The problem's code and status for a request with this header, and whether its body was read.
    async fn heard(verify: serde_json::Value, header: (&str, &str)) -> (String, StatusCode, bool) {
        let request =
            Request::builder().header("expect", "100-continue").header(header.0, header.1);
        let parts = request.body(()).unwrap().into_parts().0;
        let (seen, read) = std::sync::mpsc::sync_channel(1);
        let body = Body::from_stream(stream::once(async move {
            seen.send(()).map(|()| Bytes::from_static(b"over the limit"))
        }));
        let hook = hook(json!({ "verify": verify }));
        let problem = hear(&Bodies::new(1), &hook, &parts, body).await.unwrap_err();
        (problem.code().to_owned(), problem.into_response().status(), read.try_recv().is_ok())
    }

    #[tokio::test]
    async fn a_request_without_a_signature_is_refused_before_its_body_is_read() {
        let github = json!({ "preset": "github", "secrets": ["app"] });
        let refused = |code: &str| (code.to_owned(), StatusCode::UNAUTHORIZED, false);
        let unsigned = heard(github.clone(), ("accept", "*/*")).await;
        assert_eq!(unsigned, refused("missing-signature"));
        let malformed = heard(github.clone(), ("x-hub-signature-256", "sha1=00")).await;
        assert_eq!(malformed, refused("malformed-signature"));

        let signed = format!("sha256={}", "0".repeat(64));
        for (verify, header) in
            [(github, ("x-hub-signature-256", &*signed)), (json!("none"), ("accept", "*/*"))]
        {
            let too_large = ("body-too-large".to_owned(), StatusCode::PAYLOAD_TOO_LARGE, true);
            assert_eq!(heard(verify, header).await, too_large);
        }
    }
}
