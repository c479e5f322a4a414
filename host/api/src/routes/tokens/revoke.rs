//! `DELETE /api/v1/tokens/{id}`: takes a token back.

use axum::Json;
use axum::extract::State;
use serde_json::json;
use tombolo_core::id::TokenId;

use super::shape::TokenItem;
use crate::access::Caller;
use crate::app::Shared;
use crate::extract::PathParam;
use crate::problem::{Kind, Problem};

/// Takes a token back, also the one that asks. It works nowhere any more after a second at the
/// latest. One that was taken back before stays as it is.
#[utoipa::path(
    delete,
    path = "/api/v1/tokens/{id}",
    tag = "tokens",
    operation_id = "revokeToken",
    params(("id" = String, Path)),
    responses((status = 200, description = "It works no more", body = TokenItem))
)]
pub(crate) async fn revoke(
    State(app): State<Shared>,
    caller: Caller,
    PathParam(token): PathParam<TokenId>,
) -> Result<Json<TokenItem>, Problem> {
    let now = app.ports.clock.now();
    let audit = caller.by().entry(now, "token-revoked", token.to_string(), json!({}));
    let found = app.ports.store.revoke_token(caller.tenant, token, audit).await?;
    let revoked = found
        .ok_or_else(|| Problem::new(Kind::TokenNotFound, format!("there is no token `{token}`")))?;
    app.ports.gate.forget(&revoked.hash);
    tracing::info!(by = %caller.who, token = %revoked.id, "a token was taken back");
    Ok(Json(revoked.into()))
}
