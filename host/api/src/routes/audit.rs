//! `GET /api/v1/audit`: what people did, on record, the newest first.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use utoipa::ToSchema;

use super::shapes::{Page, page_limit};
use crate::access::Caller;
use crate::app::Shared;
use crate::extract::QueryParams;
use crate::problem::{Kind, Problem};

/// Which part of the record.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 if left out.
    limit: Option<u32>,
}

/// One entry of the record. Nothing changes it later.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditItem {
    /// Counted from 1, without gaps.
    number: u64,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `token:<id>`, `oidc:<sub>` for a person of the identity provider, `callback` for somebody who
    /// knew an address, `command-line` for somebody on the server's machine, or `host`.
    actor: String,
    /// `run-started`, `cancel-requested`, `step-redriven`, `step-resolved`, `letter-discarded`,
    /// `run-replayed`, `step-signalled`, `plugin-added`, `workflow-applied`, `connection-set`,
    /// `connection-resumed`, `token-created`, `token-revoked`, `quotas-set`.
    action: String,
    /// What it was done to: `run_../steps/<node>/<item>`.
    subject: String,
    /// The reason, and what was before and after, as far as it is not stored elsewhere.
    detail: Value,
    /// Of the request that asked for it.
    correlation_id: Option<String>,
}

impl From<(u64, AuditEntry)> for AuditItem {
    fn from((number, entry): (u64, AuditEntry)) -> Self {
        Self {
            number,
            at: entry.at,
            actor: entry.actor.0,
            action: entry.action,
            subject: entry.subject,
            detail: entry.detail,
            correlation_id: entry.correlation_id,
        }
    }
}

/// What people did, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    tag = "audit",
    operation_id = "listAudit",
    params(AuditQuery),
    responses((status = 200, body = Page<AuditItem>))
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    QueryParams(query): QueryParams<AuditQuery>,
) -> Result<Json<Page<AuditItem>>, Problem> {
    let limit = page_limit(query.limit)?;
    let before = query.cursor.as_deref().map(read_cursor).transpose()?;
    // One more than is shown tells whether there is a next page.
    let mut found = app.ports.store.audit(caller.tenant, limit + 1, before).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|(number, _)| number.to_string());
    Ok(Json(Page { items: found.into_iter().map(AuditItem::from).collect(), next }))
}

fn read_cursor(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::new(Kind::InvalidCursor, "the cursor cannot be read"))
}
