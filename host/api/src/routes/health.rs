//! `/healthz` and `/readyz`: for whoever restarts or routes to this process.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{App, Shared};
use crate::problem::{Kind, Problem};

/// How long each part may take to show that it works.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the process is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok` or `ready`.
    status: &'static str,
}

/// The process is alive.
#[utoipa::path(get, path = "/healthz", tag = "about", operation_id = "alive", responses((status = 200, body = Health)))]
pub(crate) async fn alive() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The process can serve: the store answers and the sandbox runs. 503 `not-ready` if not.
#[utoipa::path(get, path = "/readyz", tag = "about", operation_id = "ready", responses((status = 200, body = Health)))]
pub(crate) async fn ready(State(app): State<Shared>) -> Result<Json<Health>, Problem> {
    match readiness(&app).await {
        Ok(()) => Ok(Json(Health { status: "ready" })),
        Err(part) => {
            let detail = format!("the {part} does not answer as it should");
            Err(Problem::new(Kind::NotReady, detail).with("part", part).retry_after(PATIENCE))
        }
    }
}

/// The latest check while it is fresh: the address is open to everybody, so it must cost little.
async fn readiness(app: &App) -> Result<(), String> {
    let mut latest = app.readiness.lock().await;
    let now = app.ports.clock.now();
    if let Some((at, found)) = &*latest
        && now.since(*at) < app.settings().readiness_age
    {
        return found.clone();
    }
    let found = check(app).await;
    *latest = Some((now, found.clone()));
    found
}

async fn check(app: &App) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, app.ports.store.ping()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return failing("store", &error.to_string()),
        Err(_) => return failing("store", "no answer in time"),
    }
    match tokio::time::timeout(PATIENCE, app.ports.sandbox.check(vec![".".to_owned()])).await {
        Ok(Ok(_)) => {
            app.was_ready.store(true, Ordering::Relaxed);
            Ok(())
        }
        Ok(Err(error)) => failing("sandbox", &error.to_string()),
        Err(_) if !app.was_ready.load(Ordering::Relaxed) => {
            // After a cold start the evaluator is compiled first.
            tracing::info!(part = "sandbox", "not ready yet");
            Err("sandbox".to_owned())
        }
        Err(_) => failing("sandbox", "no answer in time"),
    }
}

fn failing(part: &str, cause: &str) -> Result<(), String> {
    tracing::error!(part, cause, "not ready");
    Err(part.to_owned())
}
