//! The catalog.

use async_trait::async_trait;
use bytes::Bytes;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, TenantId, WorkflowId};
use tombolo_core::ports::egress::Connection;
use tombolo_core::ports::store::{
    Added, Applied, Catalog, NewPlugin, NewVersion, Plugin, StoreError, WorkflowVersion,
};

use super::SqliteStore;
use super::ids::id_bytes;
use crate::group::{Command, Rare, Resume};
use crate::rows::{Columns, component, connection, connections, plugin, version, versions};

#[async_trait]
impl Catalog for SqliteStore {
    async fn add_plugin(&self, plugin: NewPlugin) -> Result<Added, StoreError> {
        self.writes
            .write(plugin.into(), |pending| Command::Rare(Box::new(Rare::Plugin(pending))))
            .await
    }

    async fn plugins(&self, tenant: TenantId) -> Result<Vec<Plugin>, StoreError> {
        self.read_all(
            sqlx::query(
                "SELECT hash, descriptor, size, created_at FROM plugin WHERE tenant_id = ?
                 ORDER BY name, created_at DESC, rowid DESC",
            )
            .bind(id_bytes(tenant.0)),
            plugin,
        )
        .await
    }

    async fn component(&self, hash: ContentHash) -> Result<Option<Bytes>, StoreError> {
        self.read_one(
            sqlx::query(
                "SELECT p.bytes, p.encoding FROM payload p JOIN plugin g
                   ON g.tenant_id = p.tenant_id AND g.hash = p.hash
                 WHERE p.hash = ? LIMIT 1",
            )
            .bind(hash.0.to_vec()),
            component,
        )
        .await
    }

    async fn apply_workflow(&self, version: NewVersion) -> Result<Applied, StoreError> {
        self.writes.write(version, |pending| Command::Rare(Box::new(Rare::Workflow(pending)))).await
    }

    async fn live_workflows(&self) -> Result<Vec<WorkflowVersion>, StoreError> {
        let statement = versions!("WHERE v.version = w.live_version ORDER BY w.tenant_id, w.name");
        self.read_all(sqlx::query(statement), version).await
    }

    async fn live_revision(&self) -> Result<i64, StoreError> {
        // Versions only grow.
        let query = sqlx::query("SELECT count(*) + coalesce(sum(live_version), 0) FROM workflow");
        Ok(self.read_one(query, |row| Ok(row.number(0)?)).await?.unwrap_or_default())
    }

    async fn workflows(&self, tenant: TenantId) -> Result<Vec<WorkflowVersion>, StoreError> {
        let statement =
            versions!("WHERE w.tenant_id = ? AND v.version = w.live_version ORDER BY w.name");
        self.read_all(sqlx::query(statement).bind(id_bytes(tenant.0)), version).await
    }

    async fn workflow_versions(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Vec<WorkflowVersion>, StoreError> {
        let statement = versions!("WHERE w.tenant_id = ? AND w.name = ? ORDER BY v.version DESC");
        let query = sqlx::query(statement).bind(id_bytes(tenant.0)).bind(name.to_owned());
        self.read_all(query, version).await
    }

    async fn workflow_version(
        &self,
        tenant: TenantId,
        id: WorkflowId,
        number: u32,
    ) -> Result<Option<WorkflowVersion>, StoreError> {
        let statement = versions!("WHERE w.tenant_id = ? AND w.id = ? AND v.version = ?");
        let query = sqlx::query(statement)
            .bind(id_bytes(tenant.0))
            .bind(id_bytes(id.0))
            .bind(i64::from(number));
        self.read_one(query, version).await
    }

    async fn put_connection(
        &self,
        connection: Connection,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        self.write_and_forget((connection, audit), |pending| {
            Command::Rare(Box::new(Rare::Connection(pending)))
        })
        .await
    }

    async fn connection(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Option<Connection>, StoreError> {
        let since = match self.remembered.get(tenant, name) {
            Ok(connection) => return Ok(Some(connection)),
            Err(since) => since,
        };
        let query = sqlx::query(connections!("WHERE tenant_id = ? AND name = ?"))
            .bind(id_bytes(tenant.0))
            .bind(name.to_owned());
        let found = self.read_one(query, connection).await?;
        if let Some(read) = &found {
            self.remembered.keep(read, since);
        }
        Ok(found)
    }

    async fn connections(&self, tenant: TenantId) -> Result<Vec<Connection>, StoreError> {
        let query =
            sqlx::query(connections!("WHERE tenant_id = ? ORDER BY name")).bind(id_bytes(tenant.0));
        self.read_all(query, connection).await
    }

    async fn resume_connection(
        &self,
        tenant: TenantId,
        name: &str,
        now: Timestamp,
        audit: AuditEntry,
    ) -> Result<Option<u64>, StoreError> {
        let resume = Resume { tenant, name: name.to_owned(), now, audit };
        self.write_and_forget(resume, |pending| Command::Rare(Box::new(Rare::Resume(pending))))
            .await
    }
}
