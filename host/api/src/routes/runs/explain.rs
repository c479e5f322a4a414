//! `GET /api/v1/runs/{id}/explain`: why a run and its steps are where they are, in words.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::run::{Explanation, RunState, StepState, StepWhy, Why};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::extract::PathParam;
use crate::problem::Problem;
use crate::routes::shapes::{run_state, step_state};

/// Why a run is where it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunExplained {
    #[schema(value_type = String)]
    run: RunId,
    #[schema(schema_with = run_state)]
    state: RunState,
    why: Reason,
    /// Steps that have not come to a good end; of a for-each node at most 20 items that have begun.
    steps: Vec<StepExplained>,
}

/// Why one step is where it is.
#[derive(Serialize, ToSchema)]
struct StepExplained {
    node: String,
    /// Position among the items of a for-each node; else 0.
    item: u32,
    #[schema(schema_with = step_state)]
    state: StepState,
    why: Reason,
}

/// A reason.
#[derive(Serialize, ToSchema)]
struct Reason {
    /// Stable, for programs: `queued`, `retry`, `connection-paused`, `outcome-unknown` and so on.
    code: &'static str,
    /// For people.
    message: String,
    /// When it moves by itself; left out if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// What a person can do; left out if nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
}

impl From<Why> for Reason {
    fn from(why: Why) -> Self {
        Self { code: why.code, message: why.message, until: why.until, action: why.action }
    }
}

impl From<StepWhy> for StepExplained {
    fn from(step: StepWhy) -> Self {
        Self { node: step.node, item: step.item, state: step.state, why: step.why.into() }
    }
}

impl From<Explanation> for RunExplained {
    fn from(explanation: Explanation) -> Self {
        Self {
            run: explanation.run,
            state: explanation.state,
            why: explanation.why.into(),
            steps: explanation.steps.into_iter().map(StepExplained::from).collect(),
        }
    }
}

/// Why a run and its steps are where they are, and what to do about it.
#[utoipa::path(
    get,
    path = "/api/v1/runs/{id}/explain",
    tag = "runs",
    operation_id = "explainRun",
    params(("id" = String, Path)),
    responses((status = 200, body = RunExplained))
)]
pub(crate) async fn explain(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(id): PathParam<RunId>,
) -> Result<Json<RunExplained>, Problem> {
    Ok(Json(app.ports.repairs.explain(caller.tenant, id).await?.into()))
}
