//! Who may: tenants and API tokens.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::audit::AuditEntry;
use crate::clock::Timestamp;
use crate::id::{TenantId, TokenId};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Kebab-case; stands in the address of a webhook.
    pub name: String,
}

/// What a token may be used for. Every route declares the one it needs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Scope {
    /// Look at plugins.
    #[serde(rename = "plugins:read")]
    PluginsRead,
    /// Upload plugins.
    #[serde(rename = "plugins:write")]
    PluginsWrite,
    /// Look at workflows.
    #[serde(rename = "workflows:read")]
    WorkflowsRead,
    /// Apply workflows.
    #[serde(rename = "workflows:write")]
    WorkflowsWrite,
    /// Look at connections (never at their secrets).
    #[serde(rename = "connections:read")]
    ConnectionsRead,
    /// Set connections.
    #[serde(rename = "connections:write")]
    ConnectionsWrite,
    /// Look at runs, steps and calls.
    #[serde(rename = "runs:read")]
    RunsRead,
    /// Start and cancel runs.
    #[serde(rename = "runs:write")]
    RunsWrite,
    /// Repair runs: redrive, resolve, discard, replay, and answer for people.
    #[serde(rename = "runs:repair")]
    RunsRepair,
    /// Create tokens.
    #[serde(rename = "tokens:write")]
    TokensWrite,
    /// Look at the record of what people did.
    #[serde(rename = "audit:read")]
    AuditRead,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::PluginsRead,
        Self::PluginsWrite,
        Self::WorkflowsRead,
        Self::WorkflowsWrite,
        Self::ConnectionsRead,
        Self::ConnectionsWrite,
        Self::RunsRead,
        Self::RunsWrite,
        Self::RunsRepair,
        Self::TokensWrite,
        Self::AuditRead,
    ];

    /// The name as written: `runs:read`.
    pub fn name(self) -> &'static str {
        match self {
            Self::PluginsRead => "plugins:read",
            Self::PluginsWrite => "plugins:write",
            Self::WorkflowsRead => "workflows:read",
            Self::WorkflowsWrite => "workflows:write",
            Self::ConnectionsRead => "connections:read",
            Self::ConnectionsWrite => "connections:write",
            Self::RunsRead => "runs:read",
            Self::RunsWrite => "runs:write",
            Self::RunsRepair => "runs:repair",
            Self::TokensWrite => "tokens:write",
            Self::AuditRead => "audit:read",
        }
    }
}

/// An API token as stored: never the token itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the token. The token has 256 random bits, so a slow hash would protect nothing.
    pub hash: [u8; 32],
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

/// Tenants and tokens.
#[async_trait]
pub trait Access: Send + Sync {
    /// Finds a tenant by name, or makes it with the given id.
    async fn ensure_tenant(&self, tenant: Tenant, now: Timestamp) -> Result<Tenant, StoreError>;

    /// Finds a tenant by name.
    async fn tenant(&self, name: &str) -> Result<Option<Tenant>, StoreError>;

    /// Stores a token, whose hash no other tenant's has, and puts on record who made it.
    async fn put_token(&self, token: Token, audit: Option<AuditEntry>) -> Result<(), StoreError>;

    /// Finds a token by its hash, expired ones too.
    async fn token(&self, hash: [u8; 32]) -> Result<Option<Token>, StoreError>;

    /// Puts on record what somebody did.
    async fn record(&self, tenant: TenantId, entry: AuditEntry) -> Result<(), StoreError>;
}
