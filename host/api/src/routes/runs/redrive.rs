//! `POST /api/v1/runs/{id}/redrive`: lets the dead steps of a run try again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tombolo_core::id::RunId;
use tombolo_core::json::Json as JsonText;
use tombolo_core::ports::store::StepKey;
use tombolo_core::run::Redrive;
use utoipa::ToSchema;

use super::href;
use crate::access::Caller;
use crate::app::Shared;
use crate::extract::{Incoming, PathParam, invalid};
use crate::problem::Problem;
use crate::routes::repairs::{StepName, by, to_the_end};

/// How a run is redriven.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RedriveRun {
    /// Only the step of this node; left out for every dead step.
    node: Option<String>,
    /// Position among the items of a for-each node; only with `node`.
    item: Option<u32>,
    /// What to run the step with instead of its input; only with `node`. Null leaves it as it is.
    #[schema(value_type = Option<Value>)]
    input: Option<JsonText>,
    /// Make the calls again that succeeded in earlier attempts, under a new idempotency key.
    forget_calls: bool,
    /// Repeat unsafe calls whose outcome nobody knows.
    repeat_unknown: bool,
    /// For the record; at most 2,000 bytes.
    reason: Option<String>,
}

/// A run that goes on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Redriven {
    #[schema(value_type = String)]
    run: RunId,
    /// The steps that try again.
    steps: Vec<StepName>,
    href: String,
}

impl RedriveRun {
    fn order(self) -> Result<(Redrive, Option<String>), Problem> {
        let alone = "it belongs to one step: send `node`, too";
        if self.node.is_none() && self.input.is_some() {
            return Err(invalid("/input", alone));
        }
        if self.node.is_none() && self.item.is_some() {
            return Err(invalid("/item", alone));
        }
        let item = self.item.unwrap_or(0);
        let redrive = Redrive {
            step: self.node.map(|node| StepKey { node, item }),
            input: self.input,
            forget_calls: self.forget_calls,
            repeat_unknown: self.repeat_unknown,
        };
        Ok((redrive, self.reason))
    }
}

/// Lets dead steps try again, with what went on before them as it is. Calls that succeeded are not
/// made again, unless you say so. The body may be left out.
#[utoipa::path(
    post,
    path = "/api/v1/runs/{id}/redrive",
    tag = "runs",
    operation_id = "redriveRun",
    params(("id" = String, Path)),
    request_body(content = RedriveRun),
    responses((status = 202, description = "It goes on", body = Redriven))
)]
pub(crate) async fn redrive(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(id): PathParam<RunId>,
    request: Incoming,
) -> Result<(StatusCode, Json<Redriven>), Problem> {
    let form: RedriveRun = request.optional_form(&app).await?;
    let (redrive, reason) = form.order()?;
    let (by, tenant, repairs) = (by(&caller, reason)?, caller.tenant, app.ports.repairs.clone());
    let redriven =
        to_the_end(async move { repairs.redrive(tenant, id, redrive, by).await }).await?;
    let steps = redriven.steps.into_iter().map(StepName::from).collect();
    Ok((StatusCode::ACCEPTED, Json(Redriven { run: id, steps, href: href(id) })))
}
