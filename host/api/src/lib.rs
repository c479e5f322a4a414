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

pub use access::{IssueError, IssuedToken, NewToken, Randomness, issue_token};
pub use app::{ApiState, Settings};
pub use problem::{Kind, Problem};

/// Everything this crate answers, ready to be served. Routes of others (webhooks) are merged to it;
/// what neither knows is answered with a problem.
pub fn router(state: ApiState) -> axum::Router {
    let app = Arc::new(app::App::new(state));
    let (router, document) = routes::all(&app);
    layers::wrap(router.merge(routes::docs::pages(&document)), &app).with_state(app)
}
