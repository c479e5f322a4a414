//! Who may: tenants and API tokens.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::audit::AuditEntry;
use crate::clock::Timestamp;
use crate::id::{TenantId, TokenId};
use crate::quota::Quotas;

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
    /// Create and revoke tokens.
    #[serde(rename = "tokens:write")]
    TokensWrite,
    /// Look at the record of what people did.
    #[serde(rename = "audit:read")]
    AuditRead,
    /// Look at tokens (never at what opens).
    #[serde(rename = "tokens:read")]
    TokensRead,
    /// Look at the tenant's quotas and what it uses of them.
    #[serde(rename = "tenant:read")]
    TenantRead,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 13] = [
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
        Self::TokensRead,
        Self::TenantRead,
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
            Self::TokensRead => "tokens:read",
            Self::TenantRead => "tenant:read",
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
    /// How the token starts, to recognise it; None for one that was made before this was kept.
    pub prefix: Option<String>,
    /// When it was used last, to the minute: uses are written in the background.
    pub last_used_at: Option<Timestamp>,
    /// When somebody took it back. It works no more.
    pub revoked_at: Option<Timestamp>,
}

impl Token {
    /// True if it works at that time.
    pub fn works(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// The latest use of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenUse {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which token.
    pub token: TokenId,
    /// When.
    pub at: Timestamp,
}

/// A part of a tenant's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenPage {
    /// Only those made before this one.
    pub before: Option<TokenId>,
    /// At most so many.
    pub limit: u32,
}

/// What a tenant may use from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaChange {
    /// What it is taken to be now.
    pub before: Quotas,
    /// What it is to be.
    pub after: Quotas,
}

impl QuotaChange {
    /// Why the store refuses a change of something else.
    pub const OUTDATED: &str =
        "the tenant's quotas were changed by somebody else meanwhile; try again";
}

/// Tenants, tokens and quotas.
#[async_trait]
pub trait Access: Send + Sync {
    /// Finds a tenant by name, or makes it with the given id.
    async fn ensure_tenant(&self, tenant: Tenant, now: Timestamp) -> Result<Tenant, StoreError>;

    /// Finds a tenant by name.
    async fn tenant(&self, name: &str) -> Result<Option<Tenant>, StoreError>;

    /// Stores a token, whose hash no other tenant's has, and puts on record who made it.
    async fn put_token(&self, token: Token, audit: Option<AuditEntry>) -> Result<(), StoreError>;

    /// At most `limit` tenants by name, those after `after`.
    async fn tenants(&self, after: Option<&str>, limit: u32) -> Result<Vec<Tenant>, StoreError>;

    /// Finds a token by its hash, expired and revoked ones too.
    async fn token(&self, hash: [u8; 32]) -> Result<Option<Token>, StoreError>;

    /// Tokens of a tenant, the newest first, expired and revoked ones too.
    async fn tokens(&self, tenant: TenantId, page: TokenPage) -> Result<Vec<Token>, StoreError>;

    /// Takes a token back at the time of `audit`, and puts that on record. One that was taken back
    /// before keeps its first time and nothing is recorded. None if the tenant has no such token.
    async fn revoke_token(
        &self,
        tenant: TenantId,
        token: TokenId,
        audit: AuditEntry,
    ) -> Result<Option<Token>, StoreError>;

    /// Notes the latest uses of tokens. A use before the one that is noted changes nothing, and
    /// neither does one of a token that is not there.
    async fn touch_tokens(&self, uses: Vec<TokenUse>) -> Result<(), StoreError>;

    /// Sets what a tenant may use, and puts that on record. Replaces all that was set before; refused
    /// if that is not what `change` takes it to be, because somebody else has changed it meanwhile.
    async fn set_quotas(
        &self,
        tenant: TenantId,
        change: QuotaChange,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError>;

    /// The quotas of every tenant that has one.
    async fn quotas(&self) -> Result<Vec<(TenantId, Quotas)>, StoreError>;

    /// Runs of these tenants that have not ended, of each up to its number: they are counted no further.
    async fn open_runs(&self, of: &[(TenantId, u64)]) -> Result<Vec<(TenantId, u64)>, StoreError>;

    /// Bytes of long texts and components of these tenants, as stored.
    async fn storage_bytes(&self, of: &[TenantId]) -> Result<Vec<(TenantId, u64)>, StoreError>;

    /// Puts on record what somebody did.
    async fn record(&self, tenant: TenantId, entry: AuditEntry) -> Result<(), StoreError>;
}
