//! Reading the record of what people did: by the store, and from a file that no store has opened.

use std::path::Path;

use async_trait::async_trait;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tombolo_core::audit::{AuditEntry, AuditHash, Head, Stored};
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{AuditTrail, StoreError};

use super::SqliteStore;
use super::chain::UNCHAINED;
use super::error::Fault;
use super::ids::id_bytes;
use super::open::MIGRATIONS;
use crate::rows::{
    Columns, audit_after, audit_columns, audit_end, audit_entry, audit_leaf, audit_stored,
};

/// Entries of a tenant.
macro_rules! entries {
    ($rest:literal) => {
        concat!("SELECT ", audit_columns!(), " FROM audit WHERE tenant_id = ? ", $rest)
    };
}

/// The newest entries first, those numbered below `before`.
pub(super) async fn newest(
    readers: &SqlitePool,
    tenant: TenantId,
    limit: u32,
    before: Option<u64>,
) -> Result<Vec<(u64, AuditEntry)>, Fault> {
    let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
    let rows = sqlx::query(entries!("AND seq > 0 AND seq < ? ORDER BY seq DESC LIMIT ?"))
        .bind(id_bytes(tenant.0))
        .bind(before)
        .bind(limit)
        .fetch_all(readers)
        .await?;
    Ok(rows.iter().map(audit_entry).collect::<Result<_, _>>()?)
}

async fn heads(readers: &SqlitePool) -> Result<Vec<(TenantId, Head)>, Fault> {
    let query = sqlx::query("SELECT tenant_id, seq, hash FROM audit_head ORDER BY tenant_id");
    let rows = query.fetch_all(readers).await?;
    Ok(rows.iter().map(audit_end).collect::<Result<_, _>>()?)
}

async fn head(readers: &SqlitePool, tenant: TenantId) -> Result<Option<Head>, Fault> {
    let query = sqlx::query("SELECT tenant_id, seq, hash FROM audit_head WHERE tenant_id = ?");
    let row = query.bind(id_bytes(tenant.0)).fetch_optional(readers).await?;
    Ok(row.as_ref().map(audit_end).transpose()?.map(|(_, head)| head))
}

async fn trail(
    readers: &SqlitePool,
    tenant: TenantId,
    (after, limit): (Option<u64>, u32),
) -> Result<Vec<Stored>, Fault> {
    let rows = sqlx::query(entries!("AND seq > ? ORDER BY seq LIMIT ?"))
        .bind(id_bytes(tenant.0))
        .bind(audit_after(after))
        .bind(limit)
        .fetch_all(readers)
        .await?;
    Ok(rows.iter().map(|row| audit_stored(row, tenant)).collect::<Result<_, _>>()?)
}

async fn leaves(
    readers: &SqlitePool,
    tenant: TenantId,
    (after, limit): (u64, u32),
) -> Result<Vec<(u64, AuditHash)>, Fault> {
    let leaves = "SELECT seq, hash FROM audit WHERE tenant_id = ? AND seq > ? ORDER BY seq LIMIT ?";
    let rows = sqlx::query(leaves)
        .bind(id_bytes(tenant.0))
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(readers)
        .await?;
    Ok(rows.iter().map(audit_leaf).collect::<Result<_, _>>()?)
}

#[async_trait]
impl AuditTrail for SqliteStore {
    async fn audit_heads(&self) -> Result<Vec<(TenantId, Head)>, StoreError> {
        Ok(heads(&self.readers).await?)
    }

    async fn audit_head(&self, tenant: TenantId) -> Result<Option<Head>, StoreError> {
        Ok(head(&self.readers, tenant).await?)
    }

    async fn audit_trail(
        &self,
        tenant: TenantId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Stored>, StoreError> {
        Ok(trail(&self.readers, tenant, (after, limit)).await?)
    }

    async fn audit_leaves(
        &self,
        tenant: TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, AuditHash)>, StoreError> {
        Ok(leaves(&self.readers, tenant, (after, limit)).await?)
    }
}

/// The record in a file that is only looked at: nothing in it is changed, checked or upgraded, so
/// that it can be evidence. A server may work on it meanwhile.
#[derive(Debug)]
pub struct SqliteTrail {
    readers: SqlitePool,
}

impl SqliteTrail {
    /// Opens the file.
    ///
    /// # Errors
    /// If it is not there, is no database of this version, or cannot be read.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .pragma("query_only", "ON")
            .disable_statement_logging();
        let readers = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        let trail = Self { readers: readers.map_err(Fault::from)? };
        trail.check_version(path).await?;
        Ok(trail)
    }

    async fn check_version(&self, path: &Path) -> Result<(), StoreError> {
        let latest = "SELECT max(version) FROM _sqlx_migrations";
        let found: Option<i64> = self.one(latest).await?;
        let known = MIGRATIONS.iter().map(|migration| migration.version).max();
        if found == known && !self.one::<bool>(UNCHAINED).await? {
            return Ok(());
        }
        Err(StoreError::Database(format!(
            "{} is of another version of Tombolo (schema {}, this one reads {}): a server of this \
             version upgrades it when it starts",
            path.display(),
            found.unwrap_or_default(),
            known.unwrap_or_default(),
        )))
    }

    async fn one<T>(&self, query: &'static str) -> Result<T, StoreError>
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        Ok(sqlx::query_scalar(query).fetch_one(&self.readers).await.map_err(Fault::from)?)
    }

    /// The id of a tenant by its name.
    pub async fn tenant(&self, name: &str) -> Result<Option<TenantId>, StoreError> {
        let query = sqlx::query("SELECT id FROM tenant WHERE name = ?").bind(name.to_owned());
        let found = query.fetch_optional(&self.readers).await.map_err(Fault::from)?;
        Ok(found.map(|row| row.id(0).map(TenantId)).transpose().map_err(Fault::from)?)
    }

    /// All tenants.
    pub async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let query = sqlx::query("SELECT id FROM tenant ORDER BY id");
        let rows = query.fetch_all(&self.readers).await.map_err(Fault::from)?;
        Ok(rows.iter().map(|row| Ok(TenantId(row.id(0)?))).collect::<Result<_, Fault>>()?)
    }
}

#[async_trait]
impl AuditTrail for SqliteTrail {
    async fn audit_heads(&self) -> Result<Vec<(TenantId, Head)>, StoreError> {
        Ok(heads(&self.readers).await?)
    }

    async fn audit_head(&self, tenant: TenantId) -> Result<Option<Head>, StoreError> {
        Ok(head(&self.readers, tenant).await?)
    }

    async fn audit_trail(
        &self,
        tenant: TenantId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Stored>, StoreError> {
        Ok(trail(&self.readers, tenant, (after, limit)).await?)
    }

    async fn audit_leaves(
        &self,
        tenant: TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, AuditHash)>, StoreError> {
        Ok(leaves(&self.readers, tenant, (after, limit)).await?)
    }
}
