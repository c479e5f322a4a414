//! From a file to a plan: everything that can be known to be wrong is said before a run starts.
//!
//! Each `check_*` function looks at one thing and adds what it finds.

mod builtins;
mod node;
mod order;
mod params;
mod reads;
mod secrets;
mod triggers;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::definition::{Definition, Node};
use super::event::{EventSchemas, is_event_name};
use super::issue::{Issue, did_you_mean};
use super::parameters::Parameters;
use super::plan::{
    DEFAULT_RUN_TIMEOUT, DEFAULT_STEP_TIMEOUT, Edge, NodeIndex, Plan, PlanEach, PlanNode, Port,
    Uses,
};
use super::schema::schema_issues;
use crate::descriptor::Descriptor;
use crate::effect::Effect;
use crate::id::ContentHash;
use crate::json::push_pointer;

/// Most nodes in one workflow.
pub const MAX_NODES: usize = 500;

/// Names that no workflow can have: `/api/v1/workflows/<name>` means something else.
const RESERVED_NAMES: [&str; 1] = ["validate"];

/// The port that every node has for its failure.
const ERROR_PORT: &str = "error";

/// The port that every node has for its failure by a conflict.
const CONFLICT_PORT: &str = "conflict";

/// What a file may refer to.
pub trait CatalogView {
    /// The plugin that the name means: the newest one, or the pinned one of a stored version.
    fn plugin(&self, name: &str) -> Option<(ContentHash, &Descriptor)>;

    /// Names of all plugins.
    fn plugin_names(&self) -> Vec<&str>;

    /// True if there is such a connection.
    fn has_connection(&self, name: &str) -> bool;

    /// True if that connection keeps the secret of a webhook.
    fn has_signing_secret(&self, name: &str) -> bool;

    /// Names of all connections.
    fn connection_names(&self) -> Vec<&str>;

    /// True if there is such a preset of webhook verification.
    fn has_preset(&self, name: &str) -> bool;

    /// Names of all presets.
    fn preset_names(&self) -> Vec<&str>;
}

/// A file that can run: its types, its plan, and which components it means.
#[derive(Debug, Clone)]
pub struct Pinned {
    /// The file as types.
    pub definition: Definition,
    /// Ready to run.
    pub plan: Plan,
    /// The component that each plugin's name means.
    pub pins: BTreeMap<String, ContentHash>,
    /// Expressions whose syntax only the evaluator can check: JSON pointer and jq text.
    pub jq: Vec<(String, String)>,
}

/// Makes a plan of a file, or says everything that is wrong with it.
pub fn compile(file: &Value, catalog: &dyn CatalogView) -> Result<Pinned, Vec<Issue>> {
    let issues = schema_issues(file);
    if !issues.is_empty() {
        return Err(issues);
    }
    let definition: Definition = serde_path_to_error::deserialize(file).map_err(|error| {
        let pointer =
            error.path().iter().fold(String::new(), |p, s| push_pointer(&p, &s.to_string()));
        vec![Issue::new(pointer, "wrong-value", error.into_inner().to_string())]
    })?;
    Compiler { definition: &definition, catalog, issues: Vec::new(), jq: Vec::new() }
        .run()
        .map(|(plan, pins, jq)| Pinned { definition: definition.clone(), plan, pins, jq })
}

struct Compiler<'a> {
    definition: &'a Definition,
    catalog: &'a dyn CatalogView,
    issues: Vec<Issue>,
    jq: Vec<(String, String)>,
}

/// A node on the way to becoming a [`PlanNode`].
struct Draft<'a> {
    name: &'a str,
    node: &'a Node,
    uses: Uses,
    effect: Effect,
    parameters: Parameters,
    each: Option<PlanEach>,
    retry_if: Option<Parameters>,
    edges: Vec<(&'a str, Port)>,
}

type Compiled = (Plan, BTreeMap<String, ContentHash>, Vec<(String, String)>);

impl<'a> Compiler<'a> {
    fn run(mut self) -> Result<Compiled, Vec<Issue>> {
        self.check_names();
        self.check_triggers();
        self.check_limits();
        let drafts: Vec<_> = self
            .definition
            .nodes
            .iter()
            .filter_map(|(name, node)| self.draft(name, node))
            .collect();
        if !self.issues.is_empty() {
            return Err(self.issues);
        }
        self.check_ports(&drafts);
        let order = self.order(&drafts);
        let Some(order) = order else {
            return Err(self.issues);
        };
        let plan = self.plan(drafts, &order);
        if self.issues.is_empty() {
            let pins = pins(&plan);
            Ok((plan, pins, self.jq))
        } else {
            Err(self.issues)
        }
    }

    fn check_names(&mut self) {
        if RESERVED_NAMES.contains(&self.definition.name.as_str()) {
            let message = format!("`{}` is an address of the HTTP API", self.definition.name);
            self.add(Issue::new("/name", "reserved-name", message));
        }
        if self.definition.nodes.is_empty() {
            self.add(Issue::new("/nodes", "no-nodes", "a workflow needs at least one node"));
        }
        if self.definition.nodes.len() > MAX_NODES {
            let count = self.definition.nodes.len();
            let message = format!("{count} nodes, the limit is {MAX_NODES} (limit max_nodes)");
            self.add(Issue::new("/nodes", "too-many-nodes", message));
        }
        let groups = [
            ("/nodes", self.definition.nodes.keys().collect::<Vec<_>>()),
            ("/triggers", self.definition.triggers.keys().collect()),
        ];
        for (group, names) in groups {
            for name in names {
                if !is_name(name) {
                    let message = format!(
                        "`{name}` is no name: lower-case letters, digits and `_`, a letter first"
                    );
                    let better =
                        name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
                    let suggestion = is_name(&better).then(|| format!("write `{better}`"));
                    self.add(
                        Issue::new(push_pointer(group, name), "bad-name", message)
                            .suggest(suggestion),
                    );
                }
            }
        }
    }

    fn add_unknown_connection(&mut self, pointer: &str, name: &str) {
        let suggestion = did_you_mean(name, self.catalog.connection_names())
            .or_else(|| Some(format!("set it first: tombolo connection set {name} ..")));
        self.add(
            Issue::new(pointer, "unknown-connection", format!("no connection `{name}`"))
                .suggest(suggestion),
        );
    }

    fn keep_jq(&mut self, prepared: &Parameters, pointer: &str) {
        let expressions = prepared.expressions();
        self.jq.extend(prepared.jq().map(|(number, text)| {
            (format!("{pointer}{}", expressions[number].pointer), text.to_owned())
        }));
    }

    fn add_template_errors(&mut self, errors: Vec<(String, super::TemplateError)>, pointer: &str) {
        for (inner, error) in errors {
            self.add(Issue::new(format!("{pointer}{inner}"), "bad-expression", error.to_string()));
        }
    }

    fn plan(&mut self, drafts: Vec<Draft<'_>>, order: &[usize]) -> Plan {
        let index: BTreeMap<String, NodeIndex> = order
            .iter()
            .enumerate()
            .map(|(at, draft)| (drafts[*draft].name.to_owned(), at))
            .collect();
        let sources_of = |wanted: &dyn Fn(&Port) -> bool| -> BTreeSet<&str> {
            let edges = drafts.iter().flat_map(|draft| &draft.edges);
            edges.filter(|(_, port)| wanted(port)).map(|(from, _)| *from).collect()
        };
        let error_sources = sources_of(&|port| *port == Port::Error);
        let conflict_sources = sources_of(&|port| *port == Port::Conflict);
        let sources = sources_of(&|_| true);
        let mut nodes: Vec<PlanNode> = Vec::with_capacity(drafts.len());
        for at in order {
            let draft = &drafts[*at];
            let inputs: Vec<Edge> = draft
                .edges
                .iter()
                .map(|(from, port)| Edge { from: index[*from], port: port.clone() })
                .collect();
            let upstream = upstream(&inputs, &nodes);
            self.check_reads(draft, &upstream, &nodes);
            nodes.push(PlanNode {
                name: draft.name.to_owned(),
                uses: draft.uses.clone(),
                inputs,
                join: draft.node.join,
                parameters: draft.parameters.clone(),
                each: draft.each.clone(),
                conditional: draft.node.when.is_some(),
                connection: draft.node.connection.clone(),
                retry: draft.node.retry.clone().unwrap_or_default(),
                retry_if: draft.retry_if.clone(),
                timeout: draft.node.timeout.map_or(DEFAULT_STEP_TIMEOUT, |span| span.0),
                effect: draft.effect,
                on_error: draft.node.on_error,
                has_error_edge: error_sources.contains(draft.name),
                has_conflict_edge: conflict_sources.contains(draft.name),
                upstream,
                leaf: !sources.contains(draft.name),
            });
        }
        let timeout = self.definition.timeout.map_or(DEFAULT_RUN_TIMEOUT, |span| span.0);
        let events = self.events();
        Plan { name: self.definition.name.clone(), nodes, index, timeout, events }
    }

    fn events(&mut self) -> EventSchemas {
        let mut events = EventSchemas::default();
        for (name, schema) in &self.definition.events {
            let pointer = push_pointer("/events", name);
            if !is_event_name(name) {
                let message =
                    format!("`{name}` is no event: write a fact and a version, `order.placed.v1`");
                self.add(Issue::new(pointer, "bad-event-name", message));
            } else if let Err(reason) = events.add(name, schema) {
                self.add(Issue::new(pointer, "bad-schema", reason));
            }
        }
        events
    }

    fn add(&mut self, issue: Issue) {
        self.issues.push(issue);
    }
}

fn pins(plan: &Plan) -> BTreeMap<String, ContentHash> {
    plan.nodes
        .iter()
        .filter_map(|node| match &node.uses {
            Uses::Plugin { hash, plugin, .. } => Some((plugin.clone(), *hash)),
            Uses::Builtin(_) => None,
        })
        .collect()
}

fn upstream(inputs: &[Edge], before: &[PlanNode]) -> Vec<NodeIndex> {
    let mut all: BTreeSet<NodeIndex> = BTreeSet::new();
    for edge in inputs {
        all.insert(edge.from);
        all.extend(&before[edge.from].upstream);
    }
    all.into_iter().collect()
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests;
