//! The catalog.

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{ConnectionId, ContentHash, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::egress::{Connection, Paused};
use tombolo_core::ports::store::{
    Added, Applied, Catalog, NewPlugin, NewVersion, Plugin, StoreError, WorkflowVersion,
};
use tombolo_core::secret::Sealed;

use super::SqliteStore;
use super::error::Fault;
use super::row::{bytes, id, id_bytes, maybe_time, time};
use crate::group::{Command, Rare, Resume};
use crate::record::{auth_from_columns, content_hash, from_json, unpack, unsigned};

/// The columns that [`version`] expects, of a workflow `w` and its version `v`.
macro_rules! versions {
    ($rest:literal) => {
        concat!(
            "SELECT w.tenant_id, w.id, w.name, v.version, v.version = w.live_version,
               v.definition, v.pins, v.created_at
             FROM workflow w JOIN workflow_version v
               ON v.tenant_id = w.tenant_id AND v.workflow_id = w.id ",
            $rest
        )
    };
}

/// The columns that [`connection`] expects.
macro_rules! connections {
    ($rest:literal) => {
        concat!(
            "SELECT id, tenant_id, name, base_url, auth_kind, auth_name, auth_secret, signing,
               allowed_hosts, limits, updated_at, paused_at, paused_reason FROM connection ",
            $rest
        )
    };
}

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
            |row| {
                let stored = bytes(row, 0)?.unwrap_or_default();
                Ok(Bytes::from(unpack(stored, row.try_get(1)?)?.into_owned()))
            },
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

fn plugin(row: &SqliteRow) -> Result<Plugin, Fault> {
    Ok(Plugin {
        hash: content_hash(row.try_get(0)?)?,
        descriptor: from_json(row.try_get(1)?, "a plugin's descriptor")?,
        size: unsigned(row.try_get(2)?)?,
        created_at: time(row, 3)?,
    })
}

fn version(row: &SqliteRow) -> Result<WorkflowVersion, Fault> {
    Ok(WorkflowVersion {
        tenant: TenantId(id(row, 0)?),
        id: WorkflowId(id(row, 1)?),
        name: row.try_get(2)?,
        version: unsigned(row.try_get(3)?)?,
        live: row.try_get(4)?,
        definition: Json::from_trusted(row.try_get::<String, _>(5)?),
        pins: from_json(row.try_get(6)?, "a version's pins")?,
        created_at: time(row, 7)?,
    })
}

fn connection(row: &SqliteRow) -> Result<Connection, Fault> {
    Ok(Connection {
        id: ConnectionId(id(row, 0)?),
        tenant: TenantId(id(row, 1)?),
        name: row.try_get(2)?,
        base_url: row.try_get(3)?,
        auth: auth_from_columns(row.try_get(4)?, row.try_get(5)?, row.try_get(6)?)?,
        signing: row.try_get::<Option<Vec<u8>>, _>(7)?.map(Sealed),
        allowed_hosts: from_json(row.try_get(8)?, "a connection's hosts")?,
        limits: from_json(row.try_get(9)?, "a connection's limits")?,
        updated_at: time(row, 10)?,
        paused: match maybe_time(row, 11)? {
            Some(at) => Some(Paused { at, reason: row.try_get(12)? }),
            None => None,
        },
    })
}
