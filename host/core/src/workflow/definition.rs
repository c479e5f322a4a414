//! The workflow file as types; its JSON Schema is generated from them.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::limits::Limits;
use super::span::Span;
use super::verify::Verify;
use crate::effect::Effect;
use crate::error::ErrorClass;

/// A workflow: what starts it, and the DAG of nodes it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Tombolo workflow")]
pub struct Definition {
    /// Where editors find this schema.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Unique per tenant; kebab-case.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"), length(max = 100))]
    pub name: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What starts a run. A workflow without triggers is started over the HTTP API.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub triggers: IndexMap<String, Trigger>,
    /// The nodes by name. Names are what expressions read as `.steps.<name>`.
    pub nodes: IndexMap<String, Node>,
    /// How long a run may take, waits included. Then it is cancelled. None means 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How many runs go at the same time, in which order, and how often.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// What its `publish` nodes tell, by name and version: JSON Schemas (2020-12) of the data. Data
    /// that breaks its schema is not published.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub events: IndexMap<String, Value>,
    /// How long a run that has ended is kept, with all that is known of it. None means for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Span>,
}

/// What starts a run: exactly one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// A request to `/hooks/<tenant>/<path>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// An event that a `publish` node of any workflow publishes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventTrigger>,
    /// The failure of a run of another workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureTrigger>,
}

/// An internal event: a past-tense fact with a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventTrigger {
    /// `order.placed.v2`.
    #[schemars(
        regex(pattern = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+\.v[1-9][0-9]*$"),
        length(max = 200)
    )]
    pub name: String,
}

/// Runs of other workflows that failed. A run that this started starts none in its turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailureTrigger {
    /// Their names. None means every workflow but this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflows: Option<Vec<String>>,
}

/// A webhook: verify, store, answer, and only then work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The address after `/hooks/<tenant>/`.
    #[schemars(
        regex(pattern = r"^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*$"),
        length(max = 200)
    )]
    pub path: String,
    /// How the sender proves who it is. Required: `"none"` has to be written out.
    pub verify: Verify,
    /// An expression over `{body, headers, query, method, path}` that gives a list; each item
    /// becomes an event of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// What makes two deliveries the same event. Without it the preset's id, else the body's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<Dedupe>,
    /// When the sender is answered.
    #[serde(default)]
    pub respond: Respond,
    /// How long `"respond": "result"` waits before it answers 202. None means 10 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<Span>,
}

/// Where the dedupe key of an event comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Dedupe {
    /// An expression over the event: the body, or the item after `split`.
    Expression(String),
    /// A header of the request.
    Header {
        /// Its name.
        header: String,
    },
}

/// When the sender of a webhook is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Respond {
    /// At once, when the event is durable: 202 with the ids of the runs.
    #[default]
    Accepted,
    /// With the run's output, or what a `respond` node says.
    Result,
}

/// A node of the DAG.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// `plugin.operation`, or a built-in: `set`, `respond`, `wait`, `callback`, `approval`,
    /// `workflow`, `publish`.
    #[serde(rename = "use")]
    pub uses: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The connection it calls out through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// `node` or `node.port`; `node.error` is taken when that node fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Which of several edges are waited for.
    #[serde(default)]
    pub join: Join,
    /// An expression; the node is skipped unless it is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Runs the node once for every item of a list; its output is the list of outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// The operation's parameters. Every string may hold expressions: `${ .trigger.id }`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// What a failure that may pass leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How long one attempt may take. None means 30 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// What a failure of this node means to the run.
    #[serde(default)]
    pub on_error: OnError,
    /// Overrides the operation's effect: stricter, or `keyed` where you know better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
}

/// A node that runs once for every item of a list. Its expressions see `.item` and `.index`
/// (counted from 0).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// An expression that gives the list.
    pub items: String,
    /// Items worked on at the same time.
    #[serde(default = "Each::default_limit")]
    #[schemars(range(min = 1, max = 100))]
    pub limit: u32,
    /// What an item that fails for good means to the node.
    #[serde(default)]
    pub on_item_error: OnItemError,
}

impl Each {
    fn default_limit() -> u32 {
        10
    }
}

/// What an item that fails for good means to its node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnItemError {
    /// No further item starts, and the node fails. A redrive goes on with the items that are left.
    #[default]
    Fail,
    /// The item is left out of the list.
    Skip,
    /// The item's place in the list holds `{"error": ..}`.
    Collect,
}

/// Which of several edges are waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Join {
    /// Every live one.
    #[default]
    All,
    /// The first live one.
    Any,
}

/// What the failure of a node means to the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The run fails, after independent branches have finished.
    #[default]
    Fail,
    /// The run goes on; the node's output is `null`.
    Continue,
}

/// How often and when a failed attempt is repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Attempts in all, the first one included. 1 means never again.
    #[serde(default = "Retry::default_attempts")]
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// The wait between them.
    #[serde(default)]
    pub backoff: Backoff,
    /// No attempt is due later than so long after the first one started, rate limits included; a
    /// redrive begins anew. None means as long as there are attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// An expression that decides instead of the error's class whether a failed attempt is repeated;
    /// it sees `.error` and `.attempt`.
    #[serde(rename = "if", default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Treatment by class, where it is to be another than usual.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub on: BTreeMap<ErrorClass, Decision>,
}

/// What a failure of a class leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Another attempt after a wait, as long as there are attempts.
    Retry,
    /// The step is dead.
    Fail,
}

impl Retry {
    fn default_attempts() -> u32 {
        5
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: Self::default_attempts(),
            backoff: Backoff::default(),
            within: None,
            condition: None,
            on: BTreeMap::new(),
        }
    }
}

/// Exponential backoff with full jitter: a random wait between nothing and
/// `first * factor^(attempt - 1)`, at most `max`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// Bound of the first wait.
    pub first: Span,
    /// What each further bound is multiplied with.
    #[schemars(range(min = 1.0, max = 10.0))]
    pub factor: f64,
    /// Largest bound.
    pub max: Span,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Span(std::time::Duration::from_secs(1)),
            factor: 2.0,
            max: Span(std::time::Duration::from_secs(300)),
        }
    }
}
