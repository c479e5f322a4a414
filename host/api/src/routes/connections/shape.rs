//! A connection as it is shown: nothing of its secrets but that they are there.

use serde::Serialize;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::ConnectionId;
use tombolo_core::ports::egress::{Auth, Connection, Paused};
use utoipa::ToSchema;

use super::limits::LimitsShape;

/// A connection without its secrets.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectionShape {
    name: String,
    #[schema(value_type = String)]
    id: ConnectionId,
    base_url: Option<String>,
    auth: AuthShape,
    /// True if it keeps the secret that the system signs its webhooks with.
    has_signing_secret: bool,
    allowed_hosts: Vec<String>,
    limits: LimitsShape,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Set while nobody calls through it: its credentials were refused. Runs wait for it.
    paused: Option<PauseShape>,
}

/// Since when nobody calls through a connection, and why.
#[derive(Serialize, ToSchema)]
struct PauseShape {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What the other side said.
    reason: String,
}

impl From<Paused> for PauseShape {
    fn from(paused: Paused) -> Self {
        Self { at: paused.at, reason: paused.reason }
    }
}

/// How it authenticates.
#[derive(Serialize, ToSchema)]
struct AuthShape {
    /// `none`, `bearer`, `basic`, `header`, `query`.
    kind: &'static str,
    /// Of `basic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// Of `header` and `query`.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl From<Auth> for AuthShape {
    fn from(auth: Auth) -> Self {
        let kind = auth.kind();
        let (user, name) = match auth {
            Auth::None | Auth::Bearer { .. } => (None, None),
            Auth::Basic { user, .. } => (Some(user), None),
            Auth::Header { name, .. } | Auth::Query { name, .. } => (None, Some(name)),
        };
        Self { kind, user, name }
    }
}

impl From<Connection> for ConnectionShape {
    fn from(connection: Connection) -> Self {
        Self {
            name: connection.name,
            id: connection.id,
            base_url: connection.base_url,
            auth: connection.auth.into(),
            has_signing_secret: connection.signing.is_some(),
            allowed_hosts: connection.allowed_hosts,
            limits: connection.limits.into(),
            updated_at: connection.updated_at,
            paused: connection.paused.map(PauseShape::from),
        }
    }
}
