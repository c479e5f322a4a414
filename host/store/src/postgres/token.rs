//! Tokens: made, found, taken back, used.

use sqlx::postgres::PgRow;
use tombolo_core::audit::AuditEntry;
use tombolo_core::id::TokenId;
use tombolo_core::ports::store::{Token, TokenPage, TokenUse};
use uuid::Uuid;

use super::audit;
use super::error::Fault;
use super::scope::{HostTx, TenantTx};
use super::text::text;
use crate::record::to_json;
use crate::rows::{self, token_columns};

/// Stores a token.
pub(super) async fn put(
    tx: &mut TenantTx<'_>,
    token: &Token,
    entry: Option<&AuditEntry>,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO token (hash, tenant_id, id, name, scopes, created_at, expires_at, prefix,
           last_used_at, revoked_at)
         VALUES ($2, $1, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(tx.tenant().0)
    .bind(&token.hash[..])
    .bind(token.id.0)
    .bind(text(&token.name))
    .bind(to_json(&token.scopes))
    .bind(token.created_at.0)
    .bind(token.expires_at.map(|time| time.0))
    .bind(token.prefix.as_deref().map(text))
    .bind(token.last_used_at.map(|time| time.0))
    .bind(token.revoked_at.map(|time| time.0))
    .execute(tx.sql())
    .await?;
    audit::append(tx, entry).await
}

/// The token that has this hash.
pub(super) async fn find(tx: &mut HostTx<'_>, hash: [u8; 32]) -> Result<Option<Token>, Fault> {
    let query = concat!("SELECT ", token_columns!(), " FROM token WHERE hash = $1");
    one(sqlx::query(query).bind(&hash[..]).fetch_optional(tx.sql()).await?)
}

/// The tenant's tokens, the newest first.
pub(super) async fn page(tx: &mut TenantTx<'_>, page: TokenPage) -> Result<Vec<Token>, Fault> {
    // Ids are UUIDs of version 7: they sort by time.
    let rows = sqlx::query(concat!(
        "SELECT ",
        token_columns!(),
        " FROM token WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
    ))
    .bind(tx.tenant().0)
    .bind(page.before.map_or(Uuid::max(), |before| before.0))
    .bind(i64::from(page.limit))
    .fetch_all(tx.sql())
    .await?;
    Ok(rows.iter().map(rows::token).collect::<Result<_, _>>()?)
}

/// Takes a token back, unless somebody has; None if the tenant has no such token.
pub(super) async fn revoke(
    tx: &mut TenantTx<'_>,
    token: TokenId,
    entry: &AuditEntry,
) -> Result<Option<Token>, Fault> {
    let revoked = sqlx::query(
        "UPDATE token SET revoked_at = $3
         WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL",
    )
    .bind(tx.tenant().0)
    .bind(token.0)
    .bind(entry.at.0)
    .execute(tx.sql())
    .await?;
    if revoked.rows_affected() > 0 {
        audit::append(tx, [entry]).await?;
    }
    let query =
        concat!("SELECT ", token_columns!(), " FROM token WHERE tenant_id = $1 AND id = $2");
    one(sqlx::query(query).bind(tx.tenant().0).bind(token.0).fetch_optional(tx.sql()).await?)
}

/// Notes when tokens of this tenant were used last.
pub(super) async fn touch(tx: &mut TenantTx<'_>, uses: &[TokenUse]) -> Result<(), Fault> {
    let (tokens, times): (Vec<Uuid>, Vec<i64>) =
        uses.iter().map(|one| (one.token.0, one.at.0)).unzip();
    sqlx::query(
        "UPDATE token SET last_used_at = used.at
         FROM (SELECT id, max(at) AS at FROM unnest($2::uuid[], $3::bigint[]) AS used (id, at)
               GROUP BY id) AS used
         WHERE token.tenant_id = $1 AND token.id = used.id
           AND coalesce(token.last_used_at, -1) < used.at",
    )
    .bind(tx.tenant().0)
    .bind(tokens)
    .bind(times)
    .execute(tx.sql())
    .await?;
    Ok(())
}

fn one(row: Option<PgRow>) -> Result<Option<Token>, Fault> {
    Ok(row.as_ref().map(rows::token).transpose()?)
}
