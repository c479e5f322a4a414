//! `/api/v1/runs`: one file per action.

mod call;
pub(super) mod cancel;
pub(super) mod follow;
pub(super) mod list;
mod model;
pub(super) mod show;
pub(super) mod start;
pub(super) mod steps;

use tombolo_core::id::RunId;
use tombolo_core::ports::store::RunView;

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

async fn find(app: &App, caller: &Caller, run: RunId) -> Result<RunView, Problem> {
    app.ports.store.run(caller.tenant, run).await?.ok_or_else(|| not_found(run))
}
