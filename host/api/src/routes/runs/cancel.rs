//! `POST /api/v1/runs/{id}/cancel`: ask for the end of a run.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::CancelRequest;
use tombolo_core::run::RunState;
use utoipa::ToSchema;

use super::href;
use crate::access::Caller;
use crate::app::Shared;
use crate::extract::PathParam;
use crate::problem::{Kind, Problem};
use crate::routes::shapes::run_state;

/// The wish is on record.
#[derive(Serialize, ToSchema)]
pub(crate) struct Cancelling {
    #[schema(value_type = String)]
    run: RunId,
    /// Where it stands now; `cancelled` as soon as whoever holds it has ended it.
    #[schema(schema_with = run_state)]
    state: RunState,
    href: String,
}

/// Asks for the end of a run. The wish is durable when this answers; the run ends soon after.
#[utoipa::path(
    post,
    path = "/api/v1/runs/{id}/cancel",
    tag = "runs",
    operation_id = "cancelRun",
    params(("id" = String, Path)),
    responses((status = 202, description = "On record", body = Cancelling))
)]
pub(crate) async fn cancel(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(id): PathParam<RunId>,
) -> Result<(StatusCode, Json<Cancelling>), Problem> {
    match app.ports.intake.cancel(caller.tenant, id, caller.by()).await? {
        CancelRequest::Unknown => Err(super::not_found(id)),
        CancelRequest::Ended(state) => {
            let detail = format!("{id} had ended before: {}", state.name());
            Err(Problem::new(Kind::RunEnded, detail).with("state", state.name()))
        }
        CancelRequest::Requested => {
            let state = super::find(&app, &caller, id).await?.run.state;
            Ok((StatusCode::ACCEPTED, Json(Cancelling { run: id, state, href: href(id) })))
        }
    }
}
