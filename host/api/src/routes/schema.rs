//! `GET /api/v1/schema/workflow`: the JSON Schema of the workflow file, for editors.

use axum::Json;
use serde_json::Value;
use tombolo_core::workflow::definition_schema;

/// The JSON Schema (2020-12) of the workflow file.
#[utoipa::path(
    get,
    path = "/api/v1/schema/workflow",
    tag = "about",
    operation_id = "workflowSchema",
    responses((status = 200, body = Object))
)]
pub(crate) async fn workflow() -> Json<Value> {
    Json(definition_schema())
}
