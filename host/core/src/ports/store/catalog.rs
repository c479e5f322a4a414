//! The catalog: plugins, workflows and their versions, connections.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

use super::StoreError;
use crate::audit::AuditEntry;
use crate::clock::Timestamp;
use crate::descriptor::Descriptor;
use crate::id::{ContentHash, TenantId, WorkflowId};
use crate::json::Json;
use crate::ports::egress::Connection;

/// A plugin to be added.
#[derive(Debug, Clone)]
pub struct NewPlugin {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its identity.
    pub hash: ContentHash,
    /// The component.
    pub component: Bytes,
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// Who adds it. On record if it is new.
    pub audit: Option<AuditEntry>,
    /// Now.
    pub now: Timestamp,
}

/// A plugin as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// Its identity.
    pub hash: ContentHash,
    /// What it says of itself, name and version among it.
    pub descriptor: Descriptor,
    /// Bytes of the component.
    pub size: u64,
    /// When it was added.
    pub created_at: Timestamp,
}

/// What became of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// New.
    New,
    /// The same bytes were there already.
    Same,
    /// Name and version are taken by other bytes. Nothing was written.
    VersionTaken {
        /// The component that has them.
        by: ContentHash,
    },
}

/// A version of a workflow to be applied.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// Whose it is.
    pub tenant: TenantId,
    /// The id to use if the workflow is new.
    pub id: WorkflowId,
    /// The workflow's name, unique per tenant.
    pub name: String,
    /// The file, as uploaded.
    pub definition: Json,
    /// Which component each plugin's name means in this version.
    pub pins: BTreeMap<String, ContentHash>,
    /// Who applies it. On record if it is a new version, with what was live before.
    pub audit: Option<AuditEntry>,
    /// Now.
    pub now: Timestamp,
}

/// What became of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// Stored; it is the live one now.
    Created {
        /// The workflow.
        id: WorkflowId,
        /// Counted from 1.
        version: u32,
    },
    /// Definition and pins are those of the live version. Nothing was written.
    Unchanged {
        /// The workflow.
        id: WorkflowId,
        /// The live version.
        version: u32,
    },
}

/// A version of a workflow as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowVersion {
    /// Whose it is.
    pub tenant: TenantId,
    /// The workflow.
    pub id: WorkflowId,
    /// Its name.
    pub name: String,
    /// Counted from 1.
    pub version: u32,
    /// True for the version that triggers start.
    pub live: bool,
    /// The file.
    pub definition: Json,
    /// Which component each plugin's name means.
    pub pins: BTreeMap<String, ContentHash>,
    /// When it was applied.
    pub created_at: Timestamp,
}

/// Plugins, workflows, connections.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Adds a plugin; its content hash is its identity.
    async fn add_plugin(&self, plugin: NewPlugin) -> Result<Added, StoreError>;

    /// All plugins, by name, the newest first.
    async fn plugins(&self, tenant: TenantId) -> Result<Vec<Plugin>, StoreError>;

    /// A component's bytes, whoever added it: the hash is the identity.
    async fn component(&self, hash: ContentHash) -> Result<Option<Bytes>, StoreError>;

    /// Stores a version and makes it the live one. Versions are immutable.
    async fn apply_workflow(&self, version: NewVersion) -> Result<Applied, StoreError>;

    /// The live versions of all workflows of all tenants: what triggers are made from.
    async fn live_workflows(&self) -> Result<Vec<WorkflowVersion>, StoreError>;

    /// A number that is another one after every version that became live, of whatever tenant.
    async fn live_revision(&self) -> Result<i64, StoreError>;

    /// The live versions of one tenant's workflows, by name.
    async fn workflows(&self, tenant: TenantId) -> Result<Vec<WorkflowVersion>, StoreError>;

    /// All versions of a workflow, the newest first; empty if there is none of that name.
    async fn workflow_versions(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Vec<WorkflowVersion>, StoreError>;

    /// One version.
    async fn workflow_version(
        &self,
        tenant: TenantId,
        id: WorkflowId,
        version: u32,
    ) -> Result<Option<WorkflowVersion>, StoreError>;

    /// Creates or replaces a connection of that name. Never paused after it, whatever
    /// [`Connection::paused`] says: the runs that wait for it are due at its `updated_at`. Who does
    /// it is on record, with what it was before.
    async fn put_connection(
        &self,
        connection: Connection,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError>;

    /// One connection.
    async fn connection(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Option<Connection>, StoreError>;

    /// All connections of a tenant, by name.
    async fn connections(&self, tenant: TenantId) -> Result<Vec<Connection>, StoreError>;

    /// Ends a connection's pause, and puts that on record: runs that wait for it and that nobody
    /// holds are due `now`. Gives how many there were; None if there is no such connection.
    async fn resume_connection(
        &self,
        tenant: TenantId,
        name: &str,
        now: Timestamp,
        audit: AuditEntry,
    ) -> Result<Option<u64>, StoreError>;
}
