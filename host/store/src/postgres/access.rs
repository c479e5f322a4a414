//! Tenants and tokens: who is speaking, before it is known of which tenant.

use super::{PostgresStore, audit, put};
use async_trait::async_trait;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{Access, StoreError};
use tombolo_core::ports::store::{Tenant, Token};

use super::error::Fault;
use super::retried::{write_host, write_tenant};
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

#[async_trait]
impl Access for PostgresStore {
    async fn ensure_tenant(&self, tenant: Tenant, now: Timestamp) -> Result<Tenant, StoreError> {
        write_host!(self, |tx| put::tenant(tx, &tenant, now))
    }

    async fn tenant(&self, name: &str) -> Result<Option<Tenant>, StoreError> {
        self.read_as_host(async |tx| tenant(tx, name).await).await
    }

    async fn put_token(&self, token: Token, audit: Option<AuditEntry>) -> Result<(), StoreError> {
        write_tenant!(self, token.tenant, |tx| put::token(tx, &token, audit.as_ref()))
    }

    async fn token(&self, hash: [u8; 32]) -> Result<Option<Token>, StoreError> {
        self.read_as_host(async |tx| token(tx, hash).await).await
    }

    async fn record(&self, tenant: TenantId, entry: AuditEntry) -> Result<(), StoreError> {
        write_tenant!(self, tenant, |tx| audit::append(tx, [&entry]))
    }
}
