//! From a file to a plan: everything that can be known to be wrong is said before a run starts.
//!
//! Each `check_*` function looks at one thing and adds what it finds.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::Direction;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex as GraphIndex};
use serde_json::{Map, Value, json};

use super::definition::{Definition, Node, Respond};
use super::expression::Expression;
use super::issue::{Issue, did_you_mean};
use super::parameters::Parameters;
use super::plan::{
    Builtin, DEFAULT_RUN_TIMEOUT, DEFAULT_STEP_TIMEOUT, Edge, NodeIndex, Plan, PlanNode, Port, Uses,
};
use super::schema::{explain, schema_issues};
use super::verify::Verify;
use crate::descriptor::{Descriptor, Operation};
use crate::effect::Effect;
use crate::id::ContentHash;
use crate::json::push_pointer;

/// Most nodes in one workflow.
pub const MAX_NODES: usize = 500;

/// Names that no workflow can have: `/api/v1/workflows/<name>` means something else.
const RESERVED_NAMES: [&str; 1] = ["validate"];

/// The port that every node has for its failure.
const ERROR_PORT: &str = "error";

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
    edges: Vec<(&'a str, Port)>,
}

type Compiled = (Plan, BTreeMap<String, ContentHash>, Vec<(String, String)>);

impl<'a> Compiler<'a> {
    fn run(mut self) -> Result<Compiled, Vec<Issue>> {
        self.check_names();
        self.check_triggers();
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

    fn check_triggers(&mut self) {
        for (name, trigger) in &self.definition.triggers {
            let pointer = push_pointer("/triggers", name);
            let Some(webhook) = &trigger.webhook else {
                self.add(Issue::new(
                    pointer,
                    "no-trigger-kind",
                    "a trigger needs a kind: `webhook`",
                ));
                continue;
            };
            let pointer = pointer + "/webhook";
            self.check_verify(&webhook.verify, &format!("{pointer}/verify"));
            if webhook.split.is_some() && webhook.respond == Respond::Result {
                let message =
                    "`respond` cannot be `result` where `split` makes several runs of one request";
                self.add(Issue::new(format!("{pointer}/respond"), "split-has-no-result", message));
            }
            let texts = [
                ("split", webhook.split.as_deref()),
                (
                    "dedupe",
                    match &webhook.dedupe {
                        Some(super::Dedupe::Expression(text)) => Some(text.as_str()),
                        _ => None,
                    },
                ),
            ];
            for (key, text) in texts {
                if let Some(text) = text {
                    self.check_trigger_expression(text, &format!("{pointer}/{key}"));
                }
            }
        }
    }

    fn check_trigger_expression(&mut self, text: &str, pointer: &str) {
        match Parameters::prepare(&Value::String(text.to_owned())) {
            Ok(prepared) if prepared.expressions().is_empty() => {
                let message = "this has to be an expression: `${ .. }`";
                self.add(Issue::new(pointer, "not-an-expression", message));
            }
            Ok(prepared) => self.keep_jq(&prepared, pointer),
            Err(errors) => self.add_template_errors(errors, pointer),
        }
    }

    fn check_verify(&mut self, verify: &Verify, pointer: &str) {
        let secrets = match verify {
            Verify::Open(_) => return,
            Verify::Preset(preset) => {
                if !self.catalog.has_preset(&preset.preset) {
                    let known = self.catalog.preset_names();
                    let suggestion = did_you_mean(&preset.preset, known.iter().copied())
                        .or_else(|| Some(format!("known are: {}", known.join(", "))));
                    let message =
                        format!("`{}` is no preset of webhook verification", preset.preset);
                    self.add(
                        Issue::new(format!("{pointer}/preset"), "unknown-preset", message)
                            .suggest(suggestion),
                    );
                }
                &preset.secrets
            }
            Verify::Scheme(custom) => &custom.secrets,
        };
        for (at, name) in secrets.iter().enumerate() {
            let pointer = format!("{pointer}/secrets/{at}");
            if !self.catalog.has_connection(name) {
                self.add_unknown_connection(&pointer, name);
            } else if !self.catalog.has_signing_secret(name) {
                let message = format!("the connection `{name}` keeps no webhook secret");
                let fix = format!("set one: tombolo connection set {name} --signing-secret-stdin");
                self.add(Issue::new(pointer, "no-signing-secret", message).suggest(Some(fix)));
            }
        }
    }

    fn draft(&mut self, name: &'a str, node: &'a Node) -> Option<Draft<'a>> {
        let pointer = push_pointer("/nodes", name);
        let uses = self.uses(&node.uses, &pointer);
        self.check_connection(node, uses.as_ref().and_then(|uses| uses.1), &pointer);
        self.check_literal_secrets(&Value::Object(node.with.clone()), &format!("{pointer}/with"));
        let parameters = self.parameters(node, &pointer);
        let edges = self.edges(node, &pointer);
        let (uses, operation) = uses?;
        let effect = self.effect(node, operation, &pointer);
        if let Some(operation) = operation {
            self.check_params(operation, &node.with, &format!("{pointer}/with"));
        } else if matches!(uses, Uses::Builtin(Builtin::Respond)) {
            self.check_schema(&respond_schema(), &node.with, &format!("{pointer}/with"));
        }
        let uses = with_dynamic_ports(uses, operation, &node.with);
        Some(Draft { name, node, uses, effect, parameters: parameters?, edges })
    }

    fn uses(&mut self, text: &str, pointer: &str) -> Option<(Uses, Option<&'a Operation>)> {
        if let Some(builtin) = Builtin::ALL.into_iter().find(|builtin| builtin.name() == text) {
            return Some((Uses::Builtin(builtin), None));
        }
        let (plugin, wanted) = text.split_once('.').unwrap_or((text, text));
        let Some((hash, descriptor)) = self.catalog.plugin(plugin) else {
            let mut known = self.catalog.plugin_names();
            known.extend(Builtin::ALL.map(Builtin::name));
            let suggestion = did_you_mean(plugin, known)
                .or_else(|| Some("upload it first: tombolo plugin add <file.wasm>".to_owned()));
            let message = format!("no plugin `{plugin}`");
            self.add(
                Issue::new(format!("{pointer}/use"), "unknown-plugin", message).suggest(suggestion),
            );
            return None;
        };
        let Some(operation) = descriptor.operation(wanted) else {
            let known: Vec<_> = descriptor.operations.iter().map(|o| o.name.as_str()).collect();
            let suggestion = did_you_mean(wanted, known.iter().copied())
                .or_else(|| Some(format!("it has: {}", known.join(", "))));
            let message = format!("plugin `{plugin}` has no operation `{wanted}`");
            self.add(
                Issue::new(format!("{pointer}/use"), "unknown-operation", message)
                    .suggest(suggestion),
            );
            return None;
        };
        let uses = Uses::Plugin {
            hash,
            plugin: plugin.to_owned(),
            operation: wanted.to_owned(),
            ports: operation.ports.clone(),
        };
        Some((uses, Some(operation)))
    }

    fn check_connection(&mut self, node: &Node, operation: Option<&Operation>, pointer: &str) {
        let needed = operation.is_some_and(|operation| operation.connection);
        match &node.connection {
            None if needed => {
                let message = format!("`{}` calls out and needs a `connection`", node.uses);
                self.add(Issue::new(pointer, "missing-connection", message));
            }
            Some(name) if !self.catalog.has_connection(name) => {
                self.add_unknown_connection(&format!("{pointer}/connection"), name);
            }
            _ => {}
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

    /// The node's condition and parameters, prepared together: they are evaluated together.
    fn parameters(&mut self, node: &Node, pointer: &str) -> Option<Parameters> {
        let both = json!({"when": node.when, "with": node.with});
        match Parameters::prepare(&both) {
            Ok(prepared) => {
                self.keep_jq(&prepared, pointer);
                if node.when.is_some()
                    && !prepared.expressions().iter().any(|e| e.pointer == "/when")
                {
                    let message = "`when` has to be an expression: `${ .. }`";
                    self.add(Issue::new(format!("{pointer}/when"), "not-an-expression", message));
                }
                Some(prepared)
            }
            Err(errors) => {
                self.add_template_errors(errors, pointer);
                None
            }
        }
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

    fn edges(&mut self, node: &'a Node, pointer: &str) -> Vec<(&'a str, Port)> {
        let mut edges = Vec::new();
        for (at, text) in node.after.iter().enumerate() {
            let pointer = format!("{pointer}/after/{at}");
            let (from, port) = match text.split_once('.') {
                None => (text.as_str(), Port::Done),
                Some((from, ERROR_PORT)) => (from, Port::Error),
                Some((from, port)) => (from, Port::Named(port.to_owned())),
            };
            if self.definition.nodes.contains_key(from) {
                edges.push((from, port));
            } else {
                let suggestion =
                    did_you_mean(from, self.definition.nodes.keys().map(String::as_str));
                self.add(
                    Issue::new(pointer, "unknown-node", format!("no such node: `{from}`"))
                        .suggest(suggestion),
                );
            }
        }
        edges
    }

    fn effect(&mut self, node: &Node, operation: Option<&Operation>, pointer: &str) -> Effect {
        let declared = operation.map_or(Effect::Pure, |operation| operation.effect);
        match node.effect {
            Some(chosen) if chosen < declared && chosen != Effect::Keyed => {
                let message = "a workflow may only make an effect stricter, or `keyed` where the other side recognises repeated calls";
                self.add(Issue::new(format!("{pointer}/effect"), "weaker-effect", message));
                declared
            }
            Some(chosen) => chosen,
            None => declared,
        }
    }

    /// Checks `with` against the operation's schema. What an expression will give is not known, so
    /// whatever depends on it is left to the run.
    fn check_params(&mut self, operation: &Operation, with: &Map<String, Value>, pointer: &str) {
        self.check_schema(&operation.params, with, pointer);
    }

    fn check_schema(&mut self, schema: &Value, with: &Map<String, Value>, pointer: &str) {
        // Descriptors are checked at upload; one that is damaged is reported there, not here.
        let Ok(validator) = jsonschema::draft202012::new(schema) else {
            return;
        };
        let with = Value::Object(with.clone());
        let open = expression_pointers(&with);
        let names: BTreeSet<String> = schema
            .get("properties")
            .and_then(Value::as_object)
            .map(|properties| properties.keys().cloned().collect())
            .unwrap_or_default();
        for error in validator.iter_errors(&with) {
            let at = error.instance_path().to_string();
            let depends = open.iter().any(|expression| {
                at.starts_with(expression.as_str())
                    || (combines(&error) && expression.starts_with(&at))
            });
            if !depends {
                let found = explain(&error, &names);
                self.issues.extend(found.into_iter().map(|mut issue| {
                    issue.pointer = format!("{pointer}{}", issue.pointer);
                    issue
                }));
            }
        }
    }

    /// Secrets belong into connections: a workflow file is shown, diffed and versioned.
    fn check_literal_secrets(&mut self, value: &Value, pointer: &str) {
        match value {
            Value::Object(fields) => {
                for (key, field) in fields {
                    let inner = push_pointer(pointer, key);
                    if is_secret_key(key)
                        && matches!(field, Value::String(text) if is_literal(text))
                    {
                        self.add_secret(&inner, &format!("`{key}` looks like a secret"));
                    } else {
                        self.check_literal_secrets(field, &inner);
                    }
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.check_literal_secrets(item, &push_pointer(pointer, &at.to_string()));
                }
            }
            Value::String(text) if looks_secret(text) => {
                self.add_secret(pointer, "this value looks like a secret");
            }
            _ => {}
        }
    }

    fn add_secret(&mut self, pointer: &str, message: &str) {
        let fix = "keep it in a connection: tombolo connection set <name> --bearer-stdin";
        self.add(Issue::new(pointer, "secret-in-workflow", message).suggest(Some(fix.to_owned())));
    }

    fn check_ports(&mut self, drafts: &[Draft<'_>]) {
        for draft in drafts {
            for (at, (from, port)) in draft.edges.iter().enumerate() {
                let Port::Named(port) = port else { continue };
                let Some(source) = drafts.iter().find(|other| other.name == *from) else {
                    continue;
                };
                let known = match &source.uses {
                    Uses::Plugin { ports, .. } => ports.as_slice(),
                    Uses::Builtin(_) => &[],
                };
                if !known.contains(port) {
                    let suggestion =
                        did_you_mean(port, known.iter().map(String::as_str)).or_else(|| {
                            let all: Vec<_> =
                                known.iter().map(String::as_str).chain([ERROR_PORT]).collect();
                            Some(format!("it has: {}", all.join(", ")))
                        });
                    let pointer = format!("{}/after/{at}", push_pointer("/nodes", draft.name));
                    let message = format!("`{from}` has no port `{port}`");
                    self.add(Issue::new(pointer, "unknown-port", message).suggest(suggestion));
                }
            }
        }
    }

    /// Positions of drafts in topological order, the file's order where edges leave a choice;
    /// None, and an issue that names the path, if edges go round.
    fn order(&mut self, drafts: &[Draft<'_>]) -> Option<Vec<usize>> {
        let graph = graph(drafts);
        let mut open: Vec<usize> = graph
            .node_indices()
            .map(|vertex| graph.neighbors_directed(vertex, Direction::Incoming).count())
            .collect();
        let mut free: BTreeSet<usize> = (0..open.len()).filter(|at| open[*at] == 0).collect();
        let mut order = Vec::with_capacity(open.len());
        while let Some(at) = free.pop_first() {
            order.push(at);
            for next in graph.neighbors(GraphIndex::new(at)) {
                open[next.index()] -= 1;
                if open[next.index()] == 0 {
                    free.insert(next.index());
                }
            }
        }
        if order.len() == drafts.len() {
            return Some(order);
        }
        for path in cycles(&graph) {
            let names: Vec<_> = path.iter().map(|at| drafts[*at].name).collect();
            let pointer = format!("{}/after", push_pointer("/nodes", names[0]));
            let message = format!("edges go round: {} -> {}", names.join(" -> "), names[0]);
            self.add(Issue::new(pointer, "cycle", message));
        }
        None
    }

    fn plan(&mut self, drafts: Vec<Draft<'_>>, order: &[usize]) -> Plan {
        let index: BTreeMap<String, NodeIndex> = order
            .iter()
            .enumerate()
            .map(|(at, draft)| (drafts[*draft].name.to_owned(), at))
            .collect();
        let error_sources: BTreeSet<&str> = drafts
            .iter()
            .flat_map(|draft| &draft.edges)
            .filter(|(_, port)| *port == Port::Error)
            .map(|(from, _)| *from)
            .collect();
        let sources: BTreeSet<&str> =
            drafts.iter().flat_map(|draft| &draft.edges).map(|(from, _)| *from).collect();
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
                conditional: draft.node.when.is_some(),
                connection: draft.node.connection.clone(),
                retry: draft.node.retry.clone().unwrap_or_default(),
                timeout: draft.node.timeout.map_or(DEFAULT_STEP_TIMEOUT, |span| span.0),
                effect: draft.effect,
                on_error: draft.node.on_error,
                has_error_edge: error_sources.contains(draft.name),
                upstream,
                leaf: !sources.contains(draft.name),
            });
        }
        let timeout = self.definition.timeout.map_or(DEFAULT_RUN_TIMEOUT, |span| span.0);
        Plan { name: self.definition.name.clone(), nodes, index, timeout }
    }

    /// A node may only read nodes upstream of it: others may not have run.
    fn check_reads(&mut self, draft: &Draft<'_>, upstream: &[NodeIndex], before: &[PlanNode]) {
        for located in draft.parameters.expressions() {
            let pointer = format!("{}{}", push_pointer("/nodes", draft.name), located.pointer);
            for root in ["steps", "errors"] {
                for name in located.expression.reads(root) {
                    self.check_read(
                        draft,
                        root,
                        &name,
                        &pointer,
                        upstream,
                        before,
                        &located.expression,
                    );
                }
            }
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one read is checked in one place, with all it is checked against"
    )]
    fn check_read(
        &mut self,
        draft: &Draft<'_>,
        root: &str,
        name: &str,
        pointer: &str,
        upstream: &[NodeIndex],
        before: &[PlanNode],
        expression: &Expression,
    ) {
        if upstream.iter().any(|at| before[*at].name == name) {
            return;
        }
        if !self.definition.nodes.contains_key(name) {
            let suggestion = did_you_mean(name, self.definition.nodes.keys().map(String::as_str));
            let message = format!("`{root}.{name}`: no such node");
            self.add(Issue::new(pointer, "unknown-node", message).suggest(suggestion));
            return;
        }
        let message = format!(
            "`{}` reads `{root}.{name}`, but no edge leads from `{name}` to `{}`",
            expression.text, draft.name
        );
        let fix = format!("add \"{name}\" to /nodes/{}/after", draft.name);
        self.add(Issue::new(pointer, "not-upstream", message).suggest(Some(fix)));
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

/// The drafts' edges; vertices have the drafts' positions.
fn graph(drafts: &[Draft<'_>]) -> DiGraph<usize, ()> {
    let mut graph = DiGraph::new();
    let vertices: BTreeMap<&str, GraphIndex> =
        drafts.iter().enumerate().map(|(at, draft)| (draft.name, graph.add_node(at))).collect();
    for draft in drafts {
        for (from, _) in &draft.edges {
            graph.add_edge(vertices[from], vertices[draft.name], ());
        }
    }
    graph
}

/// One path for each knot of nodes that lead to each other.
fn cycles(graph: &DiGraph<usize, ()>) -> Vec<Vec<usize>> {
    tarjan_scc(graph)
        .into_iter()
        .filter(|knot| knot.len() > 1 || graph.contains_edge(knot[0], knot[0]))
        .map(|knot| {
            let start = *knot.iter().min_by_key(|vertex| graph[**vertex]).unwrap_or(&knot[0]);
            let mut path = vec![start];
            let mut at = start;
            // Every vertex of the knot has a successor in it; follow until one comes again.
            while let Some(next) = graph.neighbors(at).find(|next| knot.contains(next)) {
                if let Some(first) = path.iter().position(|seen| *seen == next) {
                    path.drain(..first);
                    break;
                }
                path.push(next);
                at = next;
            }
            path.into_iter().map(|vertex| graph[vertex]).collect()
        })
        .collect()
}

fn with_dynamic_ports(
    mut uses: Uses,
    operation: Option<&Operation>,
    with: &Map<String, Value>,
) -> Uses {
    if let (Uses::Plugin { ports, .. }, Some(operation)) = (&mut uses, operation) {
        let with = Value::Object(with.clone());
        for pointer in &operation.dynamic_ports {
            match with.pointer(pointer) {
                Some(Value::Object(fields)) => ports.extend(fields.keys().cloned()),
                Some(Value::Array(items)) => {
                    ports.extend(items.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                Some(Value::String(text)) => ports.push(text.clone()),
                _ => {}
            }
        }
    }
    uses
}

/// Pointers of the strings that hold expressions.
fn expression_pointers(with: &Value) -> Vec<String> {
    Parameters::prepare(with)
        .map(|prepared| prepared.expressions().iter().map(|e| e.pointer.clone()).collect())
        .unwrap_or_default()
}

/// True for errors about a value that come from values inside it.
fn combines(error: &jsonschema::ValidationError<'_>) -> bool {
    use jsonschema::error::ValidationErrorKind as K;
    matches!(
        error.kind(),
        K::AnyOf { .. }
            | K::OneOfNotValid { .. }
            | K::OneOfMultipleValid { .. }
            | K::Not { .. }
            | K::Enum { .. }
            | K::Constant { .. }
            | K::UniqueItems
            | K::Contains
    )
}

/// The parameters of the `respond` node.
fn respond_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "status": {"type": "integer", "minimum": 200, "maximum": 599},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
            "body": true,
        },
        "additionalProperties": false,
    })
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Keys whose text is a secret wherever it stands.
fn is_secret_key(key: &str) -> bool {
    const SECRET: [&str; 9] = [
        "authorization",
        "password",
        "api_key",
        "apikey",
        "api-key",
        "x-api-key",
        "client_secret",
        "access_token",
        "private_key",
    ];
    SECRET.contains(&key.to_ascii_lowercase().as_str())
}

/// Starts of well-known tokens.
fn looks_secret(text: &str) -> bool {
    const STARTS: [&str; 12] = [
        "Bearer ",
        "Basic ",
        "sk_live_",
        "sk_test_",
        "rk_live_",
        "whsec_",
        "xoxb-",
        "xoxp-",
        "ghp_",
        "github_pat_",
        "pat-na1-",
        "pat-eu1-",
    ];
    let known = STARTS.iter().any(|start| text.starts_with(start) && text.len() >= start.len() + 8);
    (known && is_literal(text))
        || (text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----"))
}

fn is_literal(text: &str) -> bool {
    !text.is_empty() && !text.contains("${")
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
