//! The plan: a validated workflow as the engine runs it, nodes in an order that respects edges.

use std::collections::BTreeMap;
use std::time::Duration;

use super::definition::{Join, OnError, OnItemError, Retry};
use super::event::EventSchemas;
use super::parameters::Parameters;
use crate::effect::Effect;
use crate::error::ErrorClass;
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
    /// What it publishes.
    pub events: EventSchemas,
    /// True if its runs may wait for each other: where one stops, another may start.
    pub limited: bool,
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
    /// Its condition and parameters: `{"when": .., "with": ..}`; of a for-each node, the parameters
    /// of one item.
    pub parameters: Parameters,
    /// Set if it runs once for every item of a list.
    pub each: Option<PlanEach>,
    /// True if it has a condition.
    pub conditional: bool,
    /// The connection's name.
    pub connection: Option<String>,
    /// What a failure that may pass leads to.
    pub retry: Retry,
    /// `retry.if`, prepared: `{"if": ..}`.
    pub retry_if: Option<Parameters>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// What it may do to the outside.
    pub effect: Effect,
    /// What its failure means to the run.
    pub on_error: OnError,
    /// True if an edge leaves its `error` port: then its failure is handled.
    pub has_error_edge: bool,
    /// True if an edge leaves its `conflict` port: then its failure by conflict is handled there.
    pub has_conflict_edge: bool,
    /// Names of the nodes upstream of it: what it may read.
    pub upstream: Vec<NodeIndex>,
    /// True if no edge leaves it.
    pub leaf: bool,
}

/// How a for-each node goes over its list.
#[derive(Debug, Clone)]
pub struct PlanEach {
    /// The node's condition and its list: `{"when": .., "items": ..}`.
    pub parameters: Parameters,
    /// Items worked on at the same time.
    pub limit: usize,
    /// What an item that fails for good means.
    pub on_item_error: OnItemError,
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
    /// Goes on after a time.
    Wait,
    /// Goes on when somebody calls an address.
    Callback,
    /// Goes on when a person has decided.
    Approval,
    /// Runs another workflow.
    Workflow,
    /// Tells a fact to whichever workflows listen.
    Publish,
}

impl Builtin {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Set,
        Self::Respond,
        Self::Wait,
        Self::Callback,
        Self::Approval,
        Self::Workflow,
        Self::Publish,
    ];

    /// As written in `use`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Respond => "respond",
            Self::Wait => "wait",
            Self::Callback => "callback",
            Self::Approval => "approval",
            Self::Workflow => "workflow",
            Self::Publish => "publish",
        }
    }

    /// Ports it may fire; empty for the default port only.
    pub fn ports(self) -> &'static [&'static str] {
        match self {
            Self::Approval => &["approved", "rejected"],
            _ => &[],
        }
    }

    /// True if its output is its input, so that it keeps none.
    pub fn echoes(self) -> bool {
        matches!(self, Self::Set | Self::Respond)
    }

    /// True if somebody outside the run may let it go on.
    pub fn has_address(self) -> bool {
        matches!(self, Self::Callback | Self::Approval)
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
    /// `after: ["node.conflict"]`: taken instead when it is dead by a conflict.
    Conflict,
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
    /// True if the run goes on when this node is dead by an error of that class.
    pub fn handles(&self, class: Option<ErrorClass>) -> bool {
        self.has_error_edge
            || self.on_error == OnError::Continue
            || (self.has_conflict_edge && class == Some(ErrorClass::Conflict))
    }

    /// True if a single step of it can be computed before the event of its run is stored: again and
    /// again, with the same result.
    pub fn computes(&self) -> bool {
        let inside = match self.uses {
            Uses::Builtin(builtin) => matches!(builtin, Builtin::Set | Builtin::Respond),
            Uses::Plugin { .. } => self.connection.is_none(),
        };
        inside && self.effect == Effect::Pure && self.each.is_none()
    }

    /// True if it is a single attempt behind a durable intent.
    pub fn needs_intent(&self) -> bool {
        self.builtin().is_none() && self.effect.needs_intent() && self.each.is_none()
    }

    /// The built-in it is.
    pub fn builtin(&self) -> Option<Builtin> {
        match self.uses {
            Uses::Builtin(builtin) => Some(builtin),
            Uses::Plugin { .. } => None,
        }
    }
}
