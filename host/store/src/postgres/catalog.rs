//! The catalog: plugins, workflows with their versions, connections. Names are in the order of their
//! bytes, whatever the database's collation is.

use super::{PostgresStore, connection, pause, put};
use crate::record::PluginItem;
use async_trait::async_trait;
use bytes::Bytes;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ContentHash, TenantId, WorkflowId};
use tombolo_core::ports::egress::Connection;
use tombolo_core::ports::store::{Added, Applied, Catalog, NewPlugin, NewVersion, StoreError};
use tombolo_core::ports::store::{Plugin, WorkflowVersion};

use super::error::Fault;
use super::retried::write_tenant;
use super::scope::{HostTx, TenantTx};
use super::text::text;
use crate::rows::{self, connections, versions};

/// A tenant's plugins, by name, the newest first.
pub(super) async fn plugins(tx: &mut TenantTx<'_>) -> Result<Vec<Plugin>, Fault> {
    let rows = sqlx::query(
        "SELECT hash, descriptor, size, created_at FROM plugin WHERE tenant_id = $1
         ORDER BY name, created_at DESC, number DESC",
    )
    .bind(tx.tenant().0)
    .fetch_all(tx.sql())
    .await?;
    rows.iter().map(|row| Ok(rows::plugin(row)?)).collect()
}

/// A component's bytes, whoever added it.
pub(super) async fn component(
    tx: &mut HostTx<'_>,
    hash: ContentHash,
) -> Result<Option<Bytes>, Fault> {
    let row = sqlx::query(
        "SELECT p.bytes, p.encoding FROM payload p JOIN plugin g
           ON g.tenant_id = p.tenant_id AND g.hash = p.hash
         WHERE p.hash = $1 LIMIT 1",
    )
    .bind(&hash.0[..])
    .fetch_optional(tx.sql())
    .await?;
    Ok(row.as_ref().map(rows::component).transpose()?)
}

/// The live versions of all workflows of all tenants.
pub(super) async fn live_workflows(tx: &mut HostTx<'_>) -> Result<Vec<WorkflowVersion>, Fault> {
    let rows =
        sqlx::query(versions!("WHERE v.version = w.live_version ORDER BY w.tenant_id, w.name"))
            .fetch_all(tx.sql())
            .await?;
    rows.iter().map(|row| Ok(rows::version(row)?)).collect()
}

/// The live versions of a tenant's workflows, by name.
pub(super) async fn workflows(tx: &mut TenantTx<'_>) -> Result<Vec<WorkflowVersion>, Fault> {
    let rows = sqlx::query(versions!(
        "WHERE w.tenant_id = $1 AND v.version = w.live_version ORDER BY w.name"
    ))
    .bind(tx.tenant().0)
    .fetch_all(tx.sql())
    .await?;
    rows.iter().map(|row| Ok(rows::version(row)?)).collect()
}

/// All versions of the workflow of this name, the newest first.
pub(super) async fn workflow_versions(
    tx: &mut TenantTx<'_>,
    name: &str,
) -> Result<Vec<WorkflowVersion>, Fault> {
    let rows =
        sqlx::query(versions!("WHERE w.tenant_id = $1 AND w.name = $2 ORDER BY v.version DESC"))
            .bind(tx.tenant().0)
            .bind(text(name))
            .fetch_all(tx.sql())
            .await?;
    rows.iter().map(|row| Ok(rows::version(row)?)).collect()
}

/// One version.
pub(super) async fn workflow_version(
    tx: &mut TenantTx<'_>,
    id: WorkflowId,
    number: u32,
) -> Result<Option<WorkflowVersion>, Fault> {
    let row = sqlx::query(versions!("WHERE w.tenant_id = $1 AND w.id = $2 AND v.version = $3"))
        .bind(tx.tenant().0)
        .bind(id.0)
        .bind(i64::from(number))
        .fetch_optional(tx.sql())
        .await?;
    Ok(row.as_ref().map(rows::version).transpose()?)
}

/// The connection of this name.
pub(super) async fn connection(
    tx: &mut TenantTx<'_>,
    name: &str,
) -> Result<Option<Connection>, Fault> {
    let row = sqlx::query(connections!("WHERE tenant_id = $1 AND name = $2"))
        .bind(tx.tenant().0)
        .bind(text(name))
        .fetch_optional(tx.sql())
        .await?;
    Ok(row.as_ref().map(rows::connection).transpose()?)
}

/// A tenant's connections, by name.
pub(super) async fn connections(tx: &mut TenantTx<'_>) -> Result<Vec<Connection>, Fault> {
    let rows = sqlx::query(connections!("WHERE tenant_id = $1 ORDER BY name"))
        .bind(tx.tenant().0)
        .fetch_all(tx.sql())
        .await?;
    rows.iter().map(|row| Ok(rows::connection(row)?)).collect()
}

#[async_trait]
impl Catalog for PostgresStore {
    async fn add_plugin(&self, plugin: NewPlugin) -> Result<Added, StoreError> {
        let item = PluginItem::from(plugin);
        write_tenant!(self, item.plugin.tenant, |tx| put::plugin(tx, &item))
    }

    async fn plugins(&self, tenant: TenantId) -> Result<Vec<Plugin>, StoreError> {
        self.read(tenant, async |tx| plugins(tx).await).await
    }

    async fn component(&self, hash: ContentHash) -> Result<Option<Bytes>, StoreError> {
        self.read_as_host(async |tx| component(tx, hash).await).await
    }

    async fn apply_workflow(&self, version: NewVersion) -> Result<Applied, StoreError> {
        write_tenant!(self, version.tenant, |tx| put::workflow(tx, &version))
    }

    async fn live_workflows(&self) -> Result<Vec<WorkflowVersion>, StoreError> {
        self.read_as_host(async |tx| live_workflows(tx).await).await
    }

    async fn live_revision(&self) -> Result<i64, StoreError> {
        self.read_as_host(async |tx| {
            // Versions only grow.
            let revision = sqlx::query_scalar(
                "SELECT (count(*) + coalesce(sum(live_version), 0))::bigint FROM workflow",
            );
            Ok(revision.fetch_one(tx.sql()).await?)
        })
        .await
    }

    async fn workflows(&self, tenant: TenantId) -> Result<Vec<WorkflowVersion>, StoreError> {
        self.read(tenant, async |tx| workflows(tx).await).await
    }

    async fn workflow_versions(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Vec<WorkflowVersion>, StoreError> {
        self.read(tenant, async |tx| workflow_versions(tx, name).await).await
    }

    async fn workflow_version(
        &self,
        tenant: TenantId,
        id: WorkflowId,
        version: u32,
    ) -> Result<Option<WorkflowVersion>, StoreError> {
        self.read(tenant, async |tx| workflow_version(tx, id, version).await).await
    }

    async fn put_connection(
        &self,
        connection: Connection,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        let tenant = connection.tenant;
        let put =
            write_tenant!(self, tenant, |tx| connection::put(tx, &connection, audit.as_ref()));
        self.remembered.forget();
        put
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
        let found = self.read(tenant, async |tx| connection(tx, name).await).await?;
        if let Some(read) = &found {
            self.remembered.keep(read, since);
        }
        Ok(found)
    }

    async fn connections(&self, tenant: TenantId) -> Result<Vec<Connection>, StoreError> {
        self.read(tenant, async |tx| connections(tx).await).await
    }

    async fn resume_connection(
        &self,
        tenant: TenantId,
        name: &str,
        now: Timestamp,
        audit: AuditEntry,
    ) -> Result<Option<u64>, StoreError> {
        let ended = write_tenant!(self, tenant, |tx| pause::end(tx, name, now, &audit));
        self.remembered.forget();
        ended
    }
}
