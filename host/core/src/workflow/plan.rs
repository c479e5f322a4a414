//! The plan: a validated workflow as the engine runs it, nodes in an order that respects edges.

use std::collections::BTreeMap;
use std::time::Duration;

use super::definition::{Join, OnError, Retry};
use super::parameters::Parameters;
use crate::effect::Effect;
use crate::id::ContentHash;

/// Position of a node in its plan; earlier nodes never depend on later ones.
pub type NodeIndex = usize;

/// How long a run may take if its workflow says nothing.
pub const DEFAULT_RUN_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long an attempt may take if its node says nothing.
pub const DEFAULT_STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// A workflow version, ready to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The workflow's name.
    pub name: String,
    /// In topological order.
    pub nodes: Vec<PlanNode>,
    /// Positions by name.
    pub index: BTreeMap<String, NodeIndex>,
    /// How long a run may take.
    pub timeout: Duration,
}

/// A node, ready to run.
#[derive(Debug, Clone)]
pub struct PlanNode {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub uses: Uses,
    /// Edges that lead to it.
    pub inputs: Vec<Edge>,
    /// Which of them are waited for.
    pub join: Join,
    /// Its condition and parameters: `{"when": .., "with": ..}`.
    pub parameters: Parameters,
    /// True if it has a condition.
    pub conditional: bool,
    /// The connection's name.
    pub connection: Option<String>,
    /// What a failure that may pass leads to.
    pub retry: Retry,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// What it may do to the outside.
    pub effect: Effect,
    /// What its failure means to the run.
    pub on_error: OnError,
    /// True if an edge leaves its `error` port: then its failure is handled.
    pub has_error_edge: bool,
    /// Names of the nodes upstream of it: what it may read.
    pub upstream: Vec<NodeIndex>,
    /// True if no edge leaves it.
    pub leaf: bool,
}

/// What a node runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Uses {
    /// A built-in of the engine.
    Builtin(Builtin),
    /// An operation of a plugin.
    Plugin {
        /// The component.
        hash: ContentHash,
        /// `hubspot`.
        plugin: String,
        /// `get-deal`.
        operation: String,
        /// Ports it may fire, from descriptor and parameters; empty for the default port only.
        ports: Vec<String>,
    },
}

/// What the engine does itself, without a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builtin {
    /// Its output is its `with`, resolved.
    Set,
    /// Answers the one who waits for the run.
    Respond,
}

impl Builtin {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Set, Self::Respond];

    /// As written in `use`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Respond => "respond",
        }
    }
}

/// An edge, from its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Where it comes from.
    pub from: NodeIndex,
    /// Which port it leaves.
    pub port: Port,
}

/// A port that an edge leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// `after: ["node"]`: taken when the node succeeds, whichever ports fire.
    Done,
    /// `after: ["node.error"]`: taken when the node is dead.
    Error,
    /// `after: ["node.port"]`: taken when that port fires.
    Named(String),
}

impl Plan {
    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&PlanNode> {
        self.index.get(name).map(|index| &self.nodes[*index])
    }
}

impl PlanNode {
    /// True if the run goes on when this node is dead.
    pub fn failure_is_handled(&self) -> bool {
        self.has_error_edge || self.on_error == OnError::Continue
    }
}
