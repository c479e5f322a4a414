//! `POST /api/v1/runs/{id}/steps/{node}/signal`: lets a `callback` or `approval` node go on.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tombolo_core::id::RunId;
use tombolo_core::ports::repair::RepairError;
use tombolo_core::ports::store::{Signalled, StepKey};
use tombolo_core::workflow::Builtin;
use utoipa::ToSchema;

use super::href;
use crate::access::Caller;
use crate::app::Shared;
use crate::extract::{Incoming, PathParam};
use crate::problem::{Kind, Problem};
use crate::routes::repairs::{StepName, to_the_end};
use crate::routes::signals::{self, Decision};

/// A signal that is kept for its step.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignalKept {
    #[schema(value_type = String)]
    run: RunId,
    step: StepName,
    href: String,
}

/// Lets a node go on that waits for somebody; if it does not wait yet, it will not have to. The body
/// of a `callback` is any JSON: the node gives it. The body of an `approval` is
/// `{"decision": "approved" | "rejected", "reason": ..}`; the token becomes `by`.
#[utoipa::path(
    post,
    path = "/api/v1/runs/{id}/steps/{node}/signal",
    tag = "runs",
    operation_id = "signalStep",
    params(("id" = String, Path), ("node" = String, Path)),
    request_body(content = Value, description = "Any JSON; of an `approval`: a decision"),
    responses((status = 202, description = "Kept for the step", body = SignalKept))
)]
pub(crate) async fn signal(
    State(app): State<Shared>,
    caller: Caller,
    PathParam((id, node)): PathParam<(RunId, String)>,
    request: Incoming,
) -> Result<(StatusCode, Json<SignalKept>), Problem> {
    let tenant = caller.tenant;
    let view = super::find(&app, &caller, id).await?;
    let builtin = signals::asked(&app, &view, &node).await?;
    let builtin = builtin.ok_or_else(|| RepairError::TakesNoSignal(node.clone()))?;
    let mut body = request.json(&app, app.settings().max_callback_bytes).await?;
    let (by, step) = (caller.by(), StepKey { node, item: 0 });
    let decision = match builtin {
        Builtin::Approval => Some(Decision::of_actor(&body, &by.actor)?),
        _ => None,
    };
    if let Some(decision) = &decision {
        body = decision.body();
    }
    let (repairs, key) = (app.ports.repairs.clone(), step.clone());
    let signal = async move { repairs.signal(tenant, id, key, body, by).await };
    let signalled = to_the_end(signal).await?;
    match signalled {
        Signalled::Kept => {
            let kept = SignalKept { run: id, step: step.into(), href: href(id) };
            Ok((StatusCode::ACCEPTED, Json(kept)))
        }
        Signalled::Taken => {
            let detail = format!("`{}` of {id} has been answered", step.node);
            Err(Problem::new(Kind::AlreadyAnswered, detail))
        }
        Signalled::Ended(state) => {
            let detail = format!("{id} had ended before: {}", state.name());
            Err(Problem::new(Kind::RunEnded, detail).with("state", state.name()))
        }
        Signalled::Unknown => Err(super::not_found(id)),
    }
}
