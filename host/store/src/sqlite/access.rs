//! Tenants and tokens.

use async_trait::async_trait;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{Access, StoreError, Tenant, Token};

use super::SqliteStore;
use crate::group::{Command, Rare};
use crate::rows;

#[async_trait]
impl Access for SqliteStore {
    async fn ensure_tenant(&self, tenant: Tenant, now: Timestamp) -> Result<Tenant, StoreError> {
        self.writes
            .write((tenant, now), |pending| Command::Rare(Box::new(Rare::Tenant(pending))))
            .await
    }

    async fn tenant(&self, name: &str) -> Result<Option<Tenant>, StoreError> {
        let query = sqlx::query("SELECT id, name FROM tenant WHERE name = ?").bind(name.to_owned());
        self.read_one(query, rows::tenant).await
    }

    async fn put_token(&self, token: Token, audit: Option<AuditEntry>) -> Result<(), StoreError> {
        self.writes
            .write((token, audit), |pending| Command::Rare(Box::new(Rare::Token(pending))))
            .await
    }

    async fn token(&self, hash: [u8; 32]) -> Result<Option<Token>, StoreError> {
        let query = sqlx::query(
            "SELECT id, tenant_id, name, scopes, created_at, expires_at FROM token WHERE hash = ?",
        )
        .bind(hash.to_vec());
        self.read_one(query, |row| rows::token(row, hash)).await
    }

    async fn record(&self, tenant: TenantId, entry: AuditEntry) -> Result<(), StoreError> {
        self.writes
            .write((tenant, entry), |pending| Command::Rare(Box::new(Rare::Record(pending))))
            .await
    }
}
