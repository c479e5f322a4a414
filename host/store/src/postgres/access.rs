//! Tenants, tokens and quotas: who is speaking, before it is known of which tenant, and how much they
//! may.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{TenantId, TokenId};
use tombolo_core::ports::store::{
    Access, QuotaChange, StoreError, Tenant, Token, TokenPage, TokenUse,
};
use tombolo_core::quota::Quotas;

use super::error::Fault;
use super::retried::{write_host, write_tenant};
use super::scope::HostTx;
use super::text::text;
use super::{PostgresStore, audit, put, quota, token};
use crate::rows;

/// The tenant of this name.
async fn tenant(tx: &mut HostTx<'_>, name: &str) -> Result<Option<Tenant>, Fault> {
    let row = sqlx::query("SELECT id, name FROM tenant WHERE name = $1")
        .bind(text(name))
        .fetch_optional(tx.sql())
        .await?;
    Ok(row.as_ref().map(rows::tenant).transpose()?)
}

/// Tenants by name, those after this one.
async fn tenants(
    tx: &mut HostTx<'_>,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Tenant>, Fault> {
    // No name is empty.
    let rows = sqlx::query("SELECT id, name FROM tenant WHERE name > $1 ORDER BY name LIMIT $2")
        .bind(text(after.unwrap_or_default()))
        .bind(i64::from(limit))
        .fetch_all(tx.sql())
        .await?;
    Ok(rows.iter().map(rows::tenant).collect::<Result<_, _>>()?)
}

#[async_trait]
impl Access for PostgresStore {
    async fn ensure_tenant(&self, tenant: Tenant, now: Timestamp) -> Result<Tenant, StoreError> {
        write_host!(self, |tx| put::tenant(tx, &tenant, now))
    }

    async fn tenant(&self, name: &str) -> Result<Option<Tenant>, StoreError> {
        self.read_as_host(async |tx| tenant(tx, name).await).await
    }

    async fn tenants(&self, after: Option<&str>, limit: u32) -> Result<Vec<Tenant>, StoreError> {
        self.read_as_host(async |tx| tenants(tx, after, limit).await).await
    }

    async fn put_token(&self, token: Token, audit: Option<AuditEntry>) -> Result<(), StoreError> {
        write_tenant!(self, token.tenant, |tx| token::put(tx, &token, audit.as_ref()))
    }

    async fn token(&self, hash: [u8; 32]) -> Result<Option<Token>, StoreError> {
        self.read_as_host(async |tx| token::find(tx, hash).await).await
    }

    async fn tokens(&self, tenant: TenantId, page: TokenPage) -> Result<Vec<Token>, StoreError> {
        self.read(tenant, async |tx| token::page(tx, page).await).await
    }

    async fn revoke_token(
        &self,
        tenant: TenantId,
        wanted: TokenId,
        audit: AuditEntry,
    ) -> Result<Option<Token>, StoreError> {
        write_tenant!(self, tenant, |tx| token::revoke(tx, wanted, &audit))
    }

    /// Each tenant's uses are a transaction: those of the tenants before a failure stay.
    async fn touch_tokens(&self, uses: Vec<TokenUse>) -> Result<(), StoreError> {
        let mut by_tenant: BTreeMap<TenantId, Vec<TokenUse>> = BTreeMap::new();
        for one in uses {
            by_tenant.entry(one.tenant).or_default().push(one);
        }
        for (tenant, uses) in by_tenant {
            write_tenant!(self, tenant, |tx| token::touch(tx, &uses))?;
        }
        Ok(())
    }

    async fn set_quotas(
        &self,
        tenant: TenantId,
        change: QuotaChange,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        write_tenant!(self, tenant, |tx| quota::set(tx, change, audit.as_ref()))
    }

    async fn quotas(&self) -> Result<Vec<(TenantId, Quotas)>, StoreError> {
        self.read_as_host(async |tx| quota::all(tx).await).await
    }

    async fn open_runs(&self, of: &[(TenantId, u64)]) -> Result<Vec<(TenantId, u64)>, StoreError> {
        self.read_as_host(async |tx| quota::open_runs(tx, of).await).await
    }

    async fn storage_bytes(&self, of: &[TenantId]) -> Result<Vec<(TenantId, u64)>, StoreError> {
        self.read_as_host(async |tx| quota::storage_bytes(tx, of).await).await
    }

    async fn record(&self, tenant: TenantId, entry: AuditEntry) -> Result<(), StoreError> {
        write_tenant!(self, tenant, |tx| audit::append(tx, [&entry]))
    }
}
