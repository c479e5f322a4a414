//! `GET /api/v1/runs/{id}`: one run with its steps.

use axum::Json;
use axum::extract::State;
use tombolo_core::id::RunId;

use super::model::RunDetail;
use crate::access::Caller;
use crate::app::Shared;
use crate::extract::PathParam;
use crate::problem::Problem;

/// A run with its steps.
#[utoipa::path(
    get,
    path = "/api/v1/runs/{id}",
    tag = "runs",
    operation_id = "showRun",
    params(("id" = String, Path, example = "run_01980000000070008000000000000001")),
    responses((status = 200, body = RunDetail))
)]
pub(crate) async fn show(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(id): PathParam<RunId>,
) -> Result<Json<RunDetail>, Problem> {
    Ok(Json(super::find(&app, &caller, id).await?.into()))
}
