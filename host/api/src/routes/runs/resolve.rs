//! `POST /api/v1/runs/{id}/steps/{node}/resolve`: says what a dead or unknown step gave.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tombolo_core::id::RunId;
use tombolo_core::json::Json as JsonText;
use tombolo_core::ports::store::StepKey;
use utoipa::ToSchema;

use super::href;
use crate::access::Caller;
use crate::app::Shared;
use crate::extract::{Incoming, PathParam};
use crate::problem::Problem;
use crate::routes::repairs::{StepName, by, to_the_end};

/// What a step gave.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolveStep {
    /// Position among the items of a for-each node; 0 if left out.
    #[serde(default)]
    item: u32,
    /// What the steps after it read; any JSON, null too.
    #[schema(value_type = Value)]
    output: JsonText,
    /// For the record; at most 2,000 bytes.
    #[serde(default)]
    reason: Option<String>,
}

/// A step that is done by a person's word.
#[derive(Serialize, ToSchema)]
pub(crate) struct Resolved {
    #[schema(value_type = String)]
    run: RunId,
    step: StepName,
    href: String,
}

/// Says what a dead or unknown step gave: somebody has looked it up at the other side, or has done
/// its work. The run goes on behind it.
#[utoipa::path(
    post,
    path = "/api/v1/runs/{id}/steps/{node}/resolve",
    tag = "runs",
    operation_id = "resolveStep",
    params(("id" = String, Path), ("node" = String, Path)),
    request_body(content = ResolveStep),
    responses((status = 202, description = "It goes on", body = Resolved))
)]
pub(crate) async fn resolve(
    State(app): State<Shared>,
    caller: Caller,
    PathParam((id, node)): PathParam<(RunId, String)>,
    request: Incoming,
) -> Result<(StatusCode, Json<Resolved>), Problem> {
    let ResolveStep { item, output, reason } = request.large_form(&app).await?;
    let (by, tenant, repairs) = (by(&caller, reason)?, caller.tenant, app.ports.repairs.clone());
    let step = StepKey { node, item };
    let key = step.clone();
    to_the_end(async move { repairs.resolve(tenant, id, key, output, by).await }).await?;
    Ok((StatusCode::ACCEPTED, Json(Resolved { run: id, step: step.into(), href: href(id) })))
}
