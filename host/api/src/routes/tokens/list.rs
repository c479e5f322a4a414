//! `GET /api/v1/tokens`: the newest first, page by page.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tombolo_core::id::TokenId;
use tombolo_core::ports::store::TokenPage;

use super::shape::TokenItem;
use crate::access::Caller;
use crate::app::Shared;
use crate::extract::QueryParams;
use crate::problem::{Kind, Problem};
use crate::routes::shapes::{Page, page_limit};

/// Which part of the list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TokensQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 if left out.
    limit: Option<u32>,
}

/// Tokens of the tenant, the newest first; expired and revoked ones, too.
#[utoipa::path(
    get,
    path = "/api/v1/tokens",
    tag = "tokens",
    operation_id = "listTokens",
    params(TokensQuery),
    responses((status = 200, body = Page<TokenItem>))
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    QueryParams(query): QueryParams<TokensQuery>,
) -> Result<Json<Page<TokenItem>>, Problem> {
    let limit = page_limit(query.limit)?;
    let before: Option<TokenId> =
        query.cursor.map(|text| text.parse().map_err(|_| unreadable())).transpose()?;
    // One more than is shown tells whether there is a next page.
    let page = TokenPage { before, limit: limit + 1 };
    let mut found = app.ports.store.tokens(caller.tenant, page).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|token| token.id.to_string());
    Ok(Json(Page { items: found.into_iter().map(TokenItem::from).collect(), next }))
}

fn unreadable() -> Problem {
    Problem::new(Kind::InvalidCursor, "the cursor cannot be read")
}
