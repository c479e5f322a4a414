//! `GET /api/v1/runs`: the newest first, narrowed by filters, page by page.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Cursor, Page as StorePage, RunFilter, RunSummary};
use tombolo_core::run::RunState;
use uuid::Uuid;

use super::model::RunItem;
use crate::access::Caller;
use crate::app::Shared;
use crate::extract::QueryParams;
use crate::problem::{Kind, Problem};
use crate::routes::shapes::{Page, page_limit};

/// The first byte of a cursor: what it is made of may change.
const CURSOR_VERSION: u8 = 1;

/// Which runs. Every parameter narrows the list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunsQuery {
    /// Of the workflow of this name.
    workflow: Option<String>,
    /// In one of these states, with commas between: `queued,running`.
    state: Option<String>,
    /// Accepted at or after this time (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Accepted before this time (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// With this correlation id.
    correlation_id: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 if left out.
    limit: Option<u32>,
}

/// Runs, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/runs",
    tag = "runs",
    operation_id = "listRuns",
    params(RunsQuery),
    responses((status = 200, body = Page<RunItem>))
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    QueryParams(query): QueryParams<RunsQuery>,
) -> Result<Json<Page<RunItem>>, Problem> {
    let limit = page_limit(query.limit)?;
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let filter = filter(query)?;
    // One more than is shown tells whether there is a next page.
    let page = StorePage { after, limit: limit + 1 };
    let mut found = app.ports.store.runs(caller.tenant, &filter, page).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|last| write_cursor(last.run.id));
    let item = |RunSummary { run, workflow_name }| RunItem::of(run, workflow_name);
    Ok(Json(Page { items: found.into_iter().map(item).collect(), next }))
}

fn filter(query: RunsQuery) -> Result<RunFilter, Problem> {
    Ok(RunFilter {
        workflow: query.workflow,
        states: query.state.as_deref().map(states).transpose()?.unwrap_or_default(),
        since: query.since,
        until: query.until,
        correlation_id: query.correlation_id,
    })
}

fn states(text: &str) -> Result<Vec<RunState>, Problem> {
    text.split(',')
        .map(|name| {
            RunState::parse(name.trim()).ok_or_else(|| {
                let known = RunState::ALL.map(RunState::name).join("`, `");
                let detail = format!("state: `{name}` is none of `{known}`");
                Problem::new(Kind::InvalidQuery, detail)
            })
        })
        .collect()
}

pub(super) fn write_cursor(run: RunId) -> String {
    let mut bytes = vec![CURSOR_VERSION];
    bytes.extend_from_slice(run.0.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn read_cursor(text: &str) -> Result<Cursor, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    match bytes.split_first() {
        Some((&CURSOR_VERSION, id)) if id.len() == 16 => {
            let id = Uuid::from_slice(id).map_err(|error| Problem::internal(error.to_string()))?;
            Ok(Cursor(RunId(id)))
        }
        _ => Err(Problem::new(Kind::InvalidCursor, "the cursor cannot be read")),
    }
}
