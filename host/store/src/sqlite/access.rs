//! Tenants and tokens.

use async_trait::async_trait;
use sqlx::Row;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{TenantId, TokenId};
use tombolo_core::ports::store::{Access, StoreError, Tenant, Token};

use super::SqliteStore;
use super::row::{id, maybe_time, time};
use crate::group::{Command, Rare};
use crate::record::from_json;

#[async_trait]
impl Access for SqliteStore {
    async fn ensure_tenant(&self, tenant: Tenant, now: Timestamp) -> Result<Tenant, StoreError> {
        self.writes
            .write((tenant, now), |pending| Command::Rare(Box::new(Rare::Tenant(pending))))
            .await
    }

    async fn tenant(&self, name: &str) -> Result<Option<Tenant>, StoreError> {
        let query = sqlx::query("SELECT id, name FROM tenant WHERE name = ?").bind(name.to_owned());
        self.read_one(query, |row| Ok(Tenant { id: TenantId(id(row, 0)?), name: row.try_get(1)? }))
            .await
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
        self.read_one(query, |row| {
            Ok(Token {
                id: TokenId(id(row, 0)?),
                tenant: TenantId(id(row, 1)?),
                name: row.try_get(2)?,
                hash,
                scopes: from_json(row.try_get(3)?, "a token's scopes")?,
                created_at: time(row, 4)?,
                expires_at: maybe_time(row, 5)?,
            })
        })
        .await
    }

    async fn record(&self, tenant: TenantId, entry: AuditEntry) -> Result<(), StoreError> {
        self.writes
            .write((tenant, entry), |pending| Command::Rare(Box::new(Rare::Record(pending))))
            .await
    }
}
