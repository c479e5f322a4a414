//! `/api/v1/events/{id}`: what came in.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, RunId};
use tombolo_core::ports::store::EventView;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::extract::PathParam;
use crate::problem::{Kind, Problem};

/// An event with the runs it started.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventShape {
    #[schema(value_type = String)]
    id: EventId,
    /// `hook:<path>` or `api:<workflow>`.
    #[schema(example = "hook:hubspot/deals")]
    source: String,
    /// What makes two deliveries the same event.
    dedupe_key: String,
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    #[schema(value_type = Vec<String>)]
    runs: Vec<RunId>,
    /// What expressions read as `.trigger`.
    trigger: Value,
    /// What expressions read as `.event`.
    event: Value,
}

impl From<EventView> for EventShape {
    fn from(view: EventView) -> Self {
        let part = |name: &str| view.payload.value().get(name).cloned().unwrap_or_default();
        Self {
            trigger: part("trigger"),
            event: part("event"),
            id: view.id,
            source: view.source,
            dedupe_key: view.dedupe_key,
            received_at: view.received_at,
            runs: view.runs,
        }
    }
}

/// An event.
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}",
    tag = "events",
    operation_id = "showEvent",
    params(("id" = String, Path, example = "evt_01980000000070008000000000000001")),
    responses((status = 200, body = EventShape))
)]
pub(crate) async fn show(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(id): PathParam<EventId>,
) -> Result<Json<EventShape>, Problem> {
    let found = app.ports.store.event(caller.tenant, id).await?;
    let found = found
        .ok_or_else(|| Problem::new(Kind::EventNotFound, format!("there is no event {id}")))?;
    Ok(Json(found.into()))
}
