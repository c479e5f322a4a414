//! `GET /api/v1/runs/{id}/steps` and one of them: with input, output, logs and calls.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::StepKey;

use super::model::{StepDetail, by_start};
use crate::access::Caller;
use crate::app::{App, Shared};
use crate::extract::{PathParam, QueryParams};
use crate::problem::Problem;
use crate::routes::shapes::List;

/// Which step of a node.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StepQuery {
    /// Position among the items of a for-each node; 0 if left out.
    #[serde(default)]
    item: u32,
}

/// All steps of a run with all that is on record, in the order of their start.
#[utoipa::path(
    get,
    path = "/api/v1/runs/{id}/steps",
    tag = "runs",
    operation_id = "listSteps",
    params(("id" = String, Path)),
    responses((status = 200, body = List<StepDetail>))
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(id): PathParam<RunId>,
) -> Result<Json<List<StepDetail>>, Problem> {
    let mut view = super::find(&app, &caller, id).await?;
    let calls = app.ports.store.calls(caller.tenant, id).await?;
    view.steps.sort_by(by_start);
    let items = view.steps.into_iter().map(|step| StepDetail::of(step, &calls)).collect();
    Ok(Json(List { items }))
}

/// One step of a run with all that is on record.
#[utoipa::path(
    get,
    path = "/api/v1/runs/{id}/steps/{node}",
    tag = "runs",
    operation_id = "showStep",
    params(("id" = String, Path), ("node" = String, Path), StepQuery),
    responses((status = 200, body = StepDetail))
)]
pub(crate) async fn show(
    State(app): State<Shared>,
    caller: Caller,
    PathParam((id, node)): PathParam<(RunId, String)>,
    QueryParams(StepQuery { item }): QueryParams<StepQuery>,
) -> Result<Json<StepDetail>, Problem> {
    Ok(Json(detail(&app, &caller, id, &StepKey { node, item }).await?))
}

/// A step with all that is on record.
pub(in crate::routes) async fn detail(
    app: &App,
    caller: &Caller,
    run: RunId,
    key: &StepKey,
) -> Result<StepDetail, Problem> {
    let view = super::find(app, caller, run).await?;
    let found = view.steps.into_iter().find(|step| step.node == key.node && step.item == key.item);
    let step = found.ok_or_else(|| super::no_step(run, key))?;
    let calls = app.ports.store.calls(caller.tenant, run).await?;
    Ok(StepDetail::of(step, &calls))
}
