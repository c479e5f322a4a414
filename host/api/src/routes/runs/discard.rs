//! `POST /api/v1/runs/{id}/steps/{node}/discard`: gives a dead step up.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tombolo_core::id::RunId;
use tombolo_core::ports::store::StepKey;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::extract::{Incoming, PathParam, invalid};
use crate::problem::Problem;
use crate::routes::repairs::{StepName, by, to_the_end};

/// Which step of the node is given up, and why.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DiscardStep {
    /// Position among the items of a for-each node; 0 if left out.
    item: u32,
    /// For the record; required, at most 2,000 bytes.
    reason: Option<String>,
}

/// A step that was given up.
#[derive(Serialize, ToSchema)]
pub(crate) struct DiscardedStep {
    #[schema(value_type = String)]
    run: RunId,
    step: StepName,
}

/// Gives a dead step up: it is no dead letter any more, and its run stays failed. `reason` is
/// required.
#[utoipa::path(
    post,
    path = "/api/v1/runs/{id}/steps/{node}/discard",
    tag = "runs",
    operation_id = "discardStep",
    params(("id" = String, Path), ("node" = String, Path)),
    request_body(content = DiscardStep),
    responses((status = 200, description = "Given up", body = DiscardedStep))
)]
pub(crate) async fn discard(
    State(app): State<Shared>,
    caller: Caller,
    PathParam((id, node)): PathParam<(RunId, String)>,
    request: Incoming,
) -> Result<Json<DiscardedStep>, Problem> {
    let DiscardStep { item, reason } = request.optional_form(&app).await?;
    let (by, tenant, repairs) = (by(&caller, reason)?, caller.tenant, app.ports.repairs.clone());
    if by.reason.is_none() {
        return Err(invalid("/reason", "say why it is given up"));
    }
    let step = StepKey { node, item };
    let key = step.clone();
    to_the_end(async move { repairs.discard(tenant, id, key, by).await }).await?;
    Ok(Json(DiscardedStep { run: id, step: step.into() }))
}
