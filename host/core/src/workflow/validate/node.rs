//! One node: what it uses, through which connection, after which others, and with which effect.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::params::respond_schema;
use super::{Compiler, Draft, ERROR_PORT};
use crate::descriptor::Operation;
use crate::effect::Effect;
use crate::json::push_pointer;
use crate::workflow::definition::Node;
use crate::workflow::issue::{Issue, did_you_mean};
use crate::workflow::parameters::Parameters;
use crate::workflow::plan::{Builtin, Port, Uses};

/// How long an attempt of a step may take.
const MAX_STEP_TIMEOUT: Duration = Duration::from_secs(3600);

impl<'a> Compiler<'a> {
    pub(super) fn draft(&mut self, name: &'a str, node: &'a Node) -> Option<Draft<'a>> {
        let pointer = push_pointer("/nodes", name);
        let uses = self.uses(&node.uses, &pointer);
        self.check_connection(node, uses.as_ref().and_then(|uses| uses.1), &pointer);
        self.check_literal_secrets(&Value::Object(node.with.clone()), &format!("{pointer}/with"));
        if node.timeout.is_some_and(|timeout| timeout.0 > MAX_STEP_TIMEOUT) {
            let message = "an attempt may take 1h at most";
            self.add(Issue::new(format!("{pointer}/timeout"), "too-long", message));
        }
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

    pub(super) fn uses(
        &mut self,
        text: &str,
        pointer: &str,
    ) -> Option<(Uses, Option<&'a Operation>)> {
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

    pub(super) fn check_connection(
        &mut self,
        node: &Node,
        operation: Option<&Operation>,
        pointer: &str,
    ) {
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

    /// The node's condition and parameters, prepared together: they are evaluated together.
    pub(super) fn parameters(&mut self, node: &Node, pointer: &str) -> Option<Parameters> {
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

    pub(super) fn edges(&mut self, node: &'a Node, pointer: &str) -> Vec<(&'a str, Port)> {
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

    pub(super) fn effect(
        &mut self,
        node: &Node,
        operation: Option<&Operation>,
        pointer: &str,
    ) -> Effect {
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

    pub(super) fn check_ports(&mut self, drafts: &[Draft<'_>]) {
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
