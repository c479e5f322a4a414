//! Tenants and tokens: who is speaking, before it is known of which tenant.

use tombolo_core::ports::store::{Tenant, Token};

use super::error::Fault;
use super::scope::HostTx;
use super::text::text;
use crate::rows;

/// The tenant of this name.
pub(super) async fn tenant(tx: &mut HostTx<'_>, name: &str) -> Result<Option<Tenant>, Fault> {
    let row = sqlx::query("SELECT id, name FROM tenant WHERE name = $1")
        .bind(text(name))
        .fetch_optional(tx.sql())
        .await?;
    Ok(row.as_ref().map(rows::tenant).transpose()?)
}

/// The token that has this hash.
pub(super) async fn token(tx: &mut HostTx<'_>, hash: [u8; 32]) -> Result<Option<Token>, Fault> {
    let row = sqlx::query(
        "SELECT id, tenant_id, name, scopes, created_at, expires_at FROM token WHERE hash = $1",
    )
    .bind(&hash[..])
    .fetch_optional(tx.sql())
    .await?;
    Ok(row.as_ref().map(|row| rows::token(row, hash)).transpose()?)
}
