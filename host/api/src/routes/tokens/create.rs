//! `POST /api/v1/tokens`: make one, with scopes or with a role. Nobody gives a scope that they do not
//! have.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TokenId;
use tombolo_core::ports::store::Scope;
use tombolo_core::role::Role;
use utoipa::ToSchema;

use crate::access::{Caller, IssueError, IssuedToken, NewToken, issue_for};
use crate::app::Shared;
use crate::extract::Incoming;
use crate::problem::{Kind, Problem};
use crate::routes::shapes::{role, scopes};

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateToken {
    /// What people call it; 1 to 100 bytes.
    name: String,
    /// What it may be used for; a part of what your own token may. Left out with a `role`.
    #[serde(default)]
    #[schema(schema_with = scopes)]
    scopes: Vec<Scope>,
    /// The scopes of this role, as they are now.
    #[serde(default)]
    #[schema(schema_with = role)]
    role: Option<Role>,
    /// 1 to 3,650; left out for a token without an end.
    #[serde(default)]
    expires_in_days: Option<u32>,
}

impl CreateToken {
    fn scopes(&self) -> Result<Vec<Scope>, Problem> {
        match self.role {
            None => Ok(self.scopes.clone()),
            Some(role) if self.scopes.is_empty() => Ok(role.scopes()),
            Some(_) => {
                let detail = "a token has a role or scopes, not both";
                Err(Problem::new(Kind::InvalidBody, detail).with("pointer", "/role"))
            }
        }
    }
}

/// A token that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedToken {
    /// The token. It is shown this once and not stored.
    token: String,
    #[schema(value_type = String)]
    id: TokenId,
    /// How it starts, to recognise it later.
    prefix: String,
    name: String,
    #[schema(schema_with = scopes)]
    scopes: Vec<Scope>,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

impl From<IssuedToken> for CreatedToken {
    fn from(issued: IssuedToken) -> Self {
        Self {
            prefix: issued.prefix().to_owned(),
            token: issued.token.to_string(),
            id: issued.stored.id,
            name: issued.stored.name,
            scopes: issued.stored.scopes,
            expires_at: issued.stored.expires_at,
        }
    }
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        let pointer = match &error {
            IssueError::Store(error) => return error.clone().into(),
            IssueError::Name => "/name",
            IssueError::NoScope => "/scopes",
            IssueError::Days => "/expires_in_days",
        };
        Self::new(Kind::InvalidBody, error.to_string()).with("pointer", pointer)
    }
}

/// Makes a token of the caller's tenant. To rotate a token make a second one, let everybody change to
/// it, and revoke the first.
#[utoipa::path(
    post,
    path = "/api/v1/tokens",
    tag = "tokens",
    operation_id = "createToken",
    request_body(content = CreateToken),
    responses((status = 201, description = "Made", body = CreatedToken))
)]
pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    request: Incoming,
) -> Result<(StatusCode, [(HeaderName, &'static str); 1], Json<CreatedToken>), Problem> {
    let form: CreateToken = request.form(&app).await?;
    let scopes = form.scopes()?;
    caller.may_give(&scopes)?;
    let new = NewToken {
        tenant: caller.tenant,
        name: form.name,
        scopes,
        expires_in_days: form.expires_in_days,
        by: Some(caller.by()),
    };
    let issued = issue_for(&app, new).await?;
    tracing::info!(by = %caller.who, token = %issued.stored.id, "a token was made");
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(issued.into())))
}
