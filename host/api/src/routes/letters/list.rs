//! `GET /api/v1/dead-letters`: those of the newest runs first, narrowed by filters, page by page.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tombolo_core::clock::Timestamp;
use tombolo_core::error::ErrorClass;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::LetterFilter;

use super::page;
use super::shape::LetterItem;
use crate::access::Caller;
use crate::app::Shared;
use crate::extract::QueryParams;
use crate::problem::Problem;
use crate::routes::shapes::{Page, page_limit};

/// Which dead letters. Every parameter narrows the list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LettersQuery {
    /// Of the workflow of this name.
    workflow: Option<String>,
    /// Of this run.
    #[param(value_type = Option<String>)]
    run: Option<RunId>,
    /// Of the node of this name.
    node: Option<String>,
    /// With an error of this class: `auth`, `not-found`, `transient` and so on.
    #[param(value_type = Option<String>)]
    class: Option<ErrorClass>,
    /// With this error code.
    code: Option<String>,
    /// Dead since this time or later (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Dead before this time (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// `true` for those that were given up, instead of those that wait.
    #[serde(default)]
    discarded: bool,
    /// `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 if left out.
    limit: Option<u32>,
}

/// Steps that wait for a person, those of the newest runs first.
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters",
    tag = "dead letters",
    operation_id = "listDeadLetters",
    params(LettersQuery),
    responses((status = 200, body = Page<LetterItem>))
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    QueryParams(query): QueryParams<LettersQuery>,
) -> Result<Json<Page<LetterItem>>, Problem> {
    let limit = page_limit(query.limit)?;
    let after = query.cursor.as_deref().map(page::read).transpose()?;
    let filter = LetterFilter {
        workflow: query.workflow,
        run: query.run,
        node: query.node,
        class: query.class,
        code: query.code,
        since: query.since,
        until: query.until,
        discarded: query.discarded,
    };
    // One more than is shown tells whether there is a next page.
    let mut found = app.ports.store.letters(caller.tenant, &filter, after, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(page::write);
    Ok(Json(Page { items: found.into_iter().map(LetterItem::from).collect(), next }))
}
