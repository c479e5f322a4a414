//! `/api/v1/runs`: one file per action.

mod call;
pub(super) mod cancel;
pub(super) mod discard;
pub(super) mod explain;
pub(super) mod follow;
pub(super) mod list;
pub(super) mod model;
pub(super) mod redrive;
pub(super) mod replay;
pub(super) mod replay_many;
mod replaying;
pub(super) mod resolve;
pub(super) mod show;
pub(super) mod signal;
pub(super) mod start;
pub(super) mod steps;

use axum::http::{HeaderMap, HeaderValue, header};
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{RunView, StepKey};

use crate::access::Caller;
use crate::app::App;
use crate::problem::{Kind, Problem};

/// Where a run is looked at.
fn href(run: RunId) -> String {
    format!("/api/v1/runs/{run}")
}

fn not_found(run: RunId) -> Problem {
    Problem::new(Kind::RunNotFound, format!("there is no run {run}"))
}

/// Says where a new run is looked at.
fn location(run: RunId) -> Result<HeaderMap, Problem> {
    let href = HeaderValue::try_from(href(run));
    let href = href.map_err(|error| Problem::internal(error.to_string()))?;
    Ok(HeaderMap::from_iter([(header::LOCATION, href)]))
}

fn no_step(run: RunId, step: &StepKey) -> Problem {
    let detail = format!("{run} has no step `{}` with item {}", step.node, step.item);
    Problem::new(Kind::StepNotFound, detail)
}

/// The caller's run.
pub(super) async fn find(app: &App, caller: &Caller, run: RunId) -> Result<RunView, Problem> {
    app.ports.store.run(caller.tenant, run).await?.ok_or_else(|| not_found(run))
}
