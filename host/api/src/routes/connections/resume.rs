//! `POST /api/v1/connections/{name}/resume`: ends a connection's pause.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::not_found;
use crate::access::Caller;
use crate::app::Shared;
use crate::extract::{Incoming, PathParam};
use crate::problem::Problem;
use crate::routes::repairs::by;

/// Why the pause is ended.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ResumeConnection {
    /// For the record; at most 2,000 bytes.
    reason: Option<String>,
}

/// A connection that is not paused any more.
#[derive(Serialize, ToSchema)]
pub(crate) struct Resumed {
    connection: String,
    /// How many runs waited for it, and go on.
    runs: u64,
}

/// Ends the pause of a connection whose credentials were refused, and lets the runs go on that wait
/// for it. To set new credentials ends it, too. The body may be left out.
#[utoipa::path(
    post,
    path = "/api/v1/connections/{name}/resume",
    tag = "connections",
    operation_id = "resumeConnection",
    params(("name" = String, Path)),
    request_body(content = ResumeConnection),
    responses((status = 200, description = "Not paused", body = Resumed))
)]
pub(crate) async fn resume(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(name): PathParam<String>,
    request: Incoming,
) -> Result<Json<Resumed>, Problem> {
    let form: ResumeConnection = request.optional_form(&app).await?;
    let (by, now) = (by(&caller, form.reason)?, app.ports.clock.now());
    let detail = json!({ "reason": by.reason });
    let audit = by.entry(now, "connection-resumed", format!("connections/{name}"), detail);
    let resumed = app.ports.store.resume_connection(caller.tenant, &name, now, audit).await?;
    let runs = resumed.ok_or_else(|| not_found(&name))?;
    Ok(Json(Resumed { connection: name, runs }))
}
