//! `GET /api/v1/dead-letters/count`: how many wait for a person.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::problem::Problem;

/// How many dead letters there are.
#[derive(Serialize, ToSchema)]
pub(crate) struct LetterCount {
    /// Those that were given up do not count.
    count: u64,
}

/// How many dead letters wait for a person.
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters/count",
    tag = "dead letters",
    operation_id = "countDeadLetters",
    responses((status = 200, body = LetterCount))
)]
pub(crate) async fn count(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<LetterCount>, Problem> {
    let count = app.ports.store.letter_count(caller.tenant).await?;
    Ok(Json(LetterCount { count }))
}
