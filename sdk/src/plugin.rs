//! A plugin: its name, world, hosts and connection kinds, and the operations it offers.

use crate::error::NodeError;
use crate::operation::{Operation, Outcome};

/// What a plugin may reach; the descriptor's `world`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// Computes.
    Transform,
    /// Asks a model and chooses ports.
    Router,
    /// Calls out, through the host's egress.
    Connector,
    /// Feeds a polling trigger.
    Source,
}

impl World {
    /// The name as written in the descriptor.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Router => "router",
            Self::Connector => "connector",
            Self::Source => "source",
        }
    }
}

/// A way to authenticate that a connection kind understands. The host adds the credentials; a
/// plugin never sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer <token>`.
    Bearer,
    /// `Authorization: Basic <user:password>`.
    Basic,
    /// A header of its own.
    Header,
    /// A query parameter.
    Query,
}

impl Auth {
    /// The name as written in the descriptor.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::Header => "header",
            Self::Query => "query",
        }
    }
}

/// A kind of connection that a plugin understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionKind {
    /// Kebab-case.
    pub kind: &'static str,
    /// Ways to authenticate.
    pub auth: Vec<Auth>,
    /// One line for people.
    pub summary: &'static str,
}

/// Everything a component says of itself and does.
#[derive(Debug)]
pub struct Plugin {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) world: World,
    pub(crate) reuse: bool,
    pub(crate) hosts: Vec<&'static str>,
    pub(crate) connections: Vec<ConnectionKind>,
    pub(crate) operations: Vec<Operation>,
}

impl Plugin {
    /// A plugin that only computes. `version` is the crate's: `env!("CARGO_PKG_VERSION")`.
    pub fn transform(name: &'static str, version: &'static str, summary: &'static str) -> Self {
        Self::new(World::Transform, name, version, summary)
    }

    /// A plugin that asks a model and chooses ports.
    pub fn router(name: &'static str, version: &'static str, summary: &'static str) -> Self {
        Self::new(World::Router, name, version, summary)
    }

    /// A plugin that calls out over HTTP.
    pub fn connector(name: &'static str, version: &'static str, summary: &'static str) -> Self {
        Self::new(World::Connector, name, version, summary)
    }

    fn new(world: World, name: &'static str, version: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            version,
            summary,
            world,
            reuse: false,
            hosts: Vec::new(),
            connections: Vec::new(),
            operations: Vec::new(),
        }
    }

    /// Says that a call is independent of earlier ones, so that the host may keep a warm instance.
    #[must_use]
    pub fn reusable(mut self) -> Self {
        self.reuse = true;
        self
    }

    /// A host it usually talks to, for the operator who writes a connection.
    #[must_use]
    pub fn host(mut self, host: &'static str) -> Self {
        self.hosts.push(host);
        self
    }

    /// A kind of connection that it understands.
    #[must_use]
    pub fn connection(
        mut self,
        kind: &'static str,
        auth: impl IntoIterator<Item = Auth>,
        summary: &'static str,
    ) -> Self {
        self.connections.push(ConnectionKind { kind, auth: auth.into_iter().collect(), summary });
        self
    }

    /// An operation that it offers.
    #[must_use]
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// Several operations that it offers.
    #[must_use]
    pub fn operations(mut self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.operations.extend(operations);
        self
    }

    /// Runs one operation on the JSON text of its parameters.
    pub fn invoke(&self, operation: &str, params: &str) -> Result<Outcome, NodeError> {
        let found = self
            .operations
            .iter()
            .find(|candidate| candidate.name == operation)
            .ok_or_else(|| self.unknown(operation))?;
        (found.run)(params)
    }

    fn unknown(&self, operation: &str) -> NodeError {
        let known: Vec<&str> = self.operations.iter().map(|known| &*known.name).collect();
        NodeError::invalid_input(
            "unknown-operation",
            format!(
                "plugin `{}` has no operation `{operation}`; it has {}",
                self.name,
                known.join(", ")
            ),
        )
    }
}
