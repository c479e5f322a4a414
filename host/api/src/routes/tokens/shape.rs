//! A token as it is told: never what opens.

use serde::Serialize;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TokenId;
use tombolo_core::ports::store::{Scope, Token};
use utoipa::ToSchema;

use crate::routes::shapes::scopes;

/// A token, without what opens.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenItem {
    #[schema(value_type = String)]
    id: TokenId,
    name: String,
    /// How it starts; null for one that was made before this was kept.
    prefix: Option<String>,
    #[schema(schema_with = scopes)]
    scopes: Vec<Scope>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Null if it has no end.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// To the minute. Null if it was not used yet.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// When it was taken back. Null if it was not.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

impl From<Token> for TokenItem {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            name: token.name,
            prefix: token.prefix,
            scopes: token.scopes,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
            revoked_at: token.revoked_at,
        }
    }
}
