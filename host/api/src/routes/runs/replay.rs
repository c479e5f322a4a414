//! `POST /api/v1/runs/{id}/replay`: a new run with an old one's input.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tombolo_core::id::RunId;
use utoipa::ToSchema;

use super::href;
use super::replaying::{BeginAt, How, OnVersion, PlanShape};
use crate::access::{Caller, quota};
use crate::app::Shared;
use crate::extract::{IdempotencyKey, Incoming, PathParam, fingerprint, read};
use crate::problem::Problem;
use crate::routes::repairs::{by, to_the_end};

/// How a run is repeated.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayRun {
    from: BeginAt,
    /// `"same"` (the run's own), `"latest"` (the live one), or a number; `"same"` if left out.
    #[serde(default)]
    #[schema(value_type = Value, example = "same")]
    version: OnVersion,
    /// Repeat effects although nobody knows whether they happened.
    #[serde(default)]
    repeat_unknown: bool,
    /// Only say what would be; nothing is started.
    #[serde(default)]
    dry_run: bool,
    /// For the record; at most 2,000 bytes.
    #[serde(default)]
    reason: Option<String>,
}

/// A run that repeats another one.
#[derive(Serialize, ToSchema)]
pub(crate) struct Replayed {
    /// The new one.
    #[schema(value_type = String)]
    run: RunId,
    /// The old one.
    #[schema(value_type = String)]
    replay_of: RunId,
    href: String,
    #[serde(flatten)]
    plan: PlanShape,
}

/// What a replay would do.
#[derive(Serialize, ToSchema)]
pub(crate) struct Planned {
    #[schema(value_type = String)]
    replay_of: RunId,
    #[serde(flatten)]
    plan: PlanShape,
}

/// Starts a new run with an old one's input. What stands before the place where it begins is taken
/// over; every effect after it happens again. Look at a `dry_run` first.
#[utoipa::path(
    post,
    path = "/api/v1/runs/{id}/replay",
    tag = "runs",
    operation_id = "replayRun",
    params(
        ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters. The same request with the same key gives the same new run."),
    ),
    request_body(content = ReplayRun),
    responses(
        (status = 202, description = "Durable, and on its way", body = Replayed),
        (status = 200, description = "Of a dry run: what would be", body = Planned),
    )
)]
pub(crate) async fn replay(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(id): PathParam<RunId>,
    uri: Uri,
    request: Incoming,
) -> Result<Response, Problem> {
    let key = IdempotencyKey::of(&request.headers)?;
    let body = request.json(&app, app.settings().max_body_bytes).await?;
    let form: ReplayRun = read(&body)?;
    let key = key.map(|key| (key, fingerprint("POST", uri.path(), body.value())));
    let (from, version, repeat_unknown) = (form.from.into(), form.version, form.repeat_unknown);
    let how = How { from, version, repeat_unknown, key };
    let order = how.order(caller.tenant, id);
    let repairs = app.ports.repairs.clone();
    if form.dry_run {
        let plan = repairs.plan_replay(&order).await?.into();
        return Ok(Json(Planned { replay_of: id, plan }).into_response());
    }
    let by = by(&caller, form.reason)?;
    quota::start_replay(&app, &caller, &order).await?;
    let (run, plan) = to_the_end(async move { repairs.replay(order, by).await }).await?;
    let body = Replayed { run, replay_of: id, href: href(run), plan: plan.into() };
    let headers: HeaderMap = super::location(run)?;
    Ok((StatusCode::ACCEPTED, headers, Json(body)).into_response())
}
