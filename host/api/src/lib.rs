//! The HTTP API under `/api/v1`, its OpenAPI document and the page that shows it.
//!
//! Owns routes, tokens, problems and limits of requests. Never knows which store, sandbox or engine
//! is behind the ports, and never shows what is not durable.

mod access;
mod app;
mod extract;
mod layers;
mod problem;
mod routes;

use std::sync::Arc;

pub use access::{
    AccessSettings, Algorithm, Gate, GatePorts, IssueError, IssuedToken, NewToken, OidcSettings,
    Randomness, hash_token, issue_token,
};
pub use app::{ApiState, Settings};
pub use problem::{Kind, Problem};

/// Everything this crate answers, and the routes of `others` (webhooks) with the same surroundings:
/// a line in the log, a correlation id, caught panics. What neither knows is answered with a problem.
pub fn router(state: ApiState, others: axum::Router) -> axum::Router {
    let app = Arc::new(app::App::new(state));
    let (router, mut document) = routes::all(&app);
    let (addressed, more) = routes::addressed(&app);
    document.merge(more);
    let ours = layers::wrap(router.merge(routes::docs::pages(&document)), &app);
    ours.merge(layers::wrap_addressed(addressed, &app))
        .merge(layers::wrap_others(others, &app))
        .with_state(app)
}

/// For a process that does not answer the API: whether it is alive and ready, and the routes of
/// `others`.
pub fn health_router(state: ApiState, others: axum::Router) -> axum::Router {
    let app = Arc::new(app::App::new(state));
    let (router, _) = routes::health(&app);
    layers::wrap(router, &app).merge(layers::wrap_others(others, &app)).with_state(app)
}
