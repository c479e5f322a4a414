//! Tenants and tokens.

use tombolo_core::id::{TenantId, TokenId};
use tombolo_core::ports::store::{Tenant, Token};

use super::{Columns, ReadFault};
use crate::record::from_json;

/// Reads a tenant's id and name.
pub(crate) fn tenant(row: &impl Columns) -> Result<Tenant, ReadFault> {
    Ok(Tenant { id: TenantId(row.id(0)?), name: row.text(1)?.to_owned() })
}

/// Reads the id of the token that has this hash, its tenant, its name and scopes, when it was made
/// and when it expires.
pub(crate) fn token(row: &impl Columns, hash: [u8; 32]) -> Result<Token, ReadFault> {
    Ok(Token {
        id: TokenId(row.id(0)?),
        tenant: TenantId(row.id(1)?),
        name: row.text(2)?.to_owned(),
        hash,
        scopes: from_json(row.text(3)?, "a token's scopes")?,
        created_at: row.time(4)?,
        expires_at: row.maybe_time(5)?,
    })
}
