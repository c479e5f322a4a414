//! `GET /api/v1/dead-letters/{run}/{node}/{item}`: one dead letter with its step and calls.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Letter, LetterCursor, LetterFilter, StepKey};
use utoipa::ToSchema;

use super::shape::LetterItem;
use crate::access::Caller;
use crate::app::{App, Shared};
use crate::extract::PathParam;
use crate::problem::{Kind, Problem};
use crate::routes::runs;
use crate::routes::runs::model::StepDetail;

/// A dead letter with all that is on record of its step.
#[derive(Serialize, ToSchema)]
pub(crate) struct LetterDetail {
    #[serde(flatten)]
    letter: LetterItem,
    step: StepDetail,
}

/// One dead letter, with what its step was given, why it failed, and the calls it made.
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters/{run}/{node}/{item}",
    tag = "dead letters",
    operation_id = "showDeadLetter",
    params(
        ("run" = String, Path),
        ("node" = String, Path),
        ("item" = u32, Path, description = "Position among the items of a for-each node; else 0"),
    ),
    responses((status = 200, body = LetterDetail))
)]
pub(crate) async fn show(
    State(app): State<Shared>,
    caller: Caller,
    PathParam((run, node, item)): PathParam<(RunId, String, u32)>,
) -> Result<Json<LetterDetail>, Problem> {
    let step = StepKey { node, item };
    let letter = find(&app, &caller, run, &step).await?;
    let detail = runs::steps::detail(&app, &caller, run, &step).await?;
    Ok(Json(LetterDetail { letter: letter.into(), step: detail }))
}

/// Among those that wait, or those that were given up.
async fn find(app: &App, caller: &Caller, run: RunId, step: &StepKey) -> Result<Letter, Problem> {
    // The letters of a node are in the order of its items: it is the first after the item before.
    let before = |item| LetterCursor { run, step: StepKey { node: step.node.clone(), item } };
    let after = step.item.checked_sub(1).map(before);
    for discarded in [false, true] {
        let of_node =
            LetterFilter { run: Some(run), node: Some(step.node.clone()), ..Default::default() };
        let filter = LetterFilter { discarded, ..of_node };
        let found = app.ports.store.letters(caller.tenant, &filter, after.clone(), 1).await?;
        if let Some(letter) = found.into_iter().find(|letter| letter.step == *step) {
            return Ok(letter);
        }
    }
    let detail =
        format!("the step `{}` (item {}) of {run} is no dead letter", step.node, step.item);
    Err(Problem::new(Kind::DeadLetterNotFound, detail))
}
