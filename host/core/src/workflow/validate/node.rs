//! One node: what it uses, through which connection, after which others, and with which effect.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::builtins::parameter_schema;
use super::{CONFLICT_PORT, Compiler, Draft, ERROR_PORT};
use crate::descriptor::Operation;
use crate::effect::Effect;
use crate::error::ErrorClass;
use crate::json::push_pointer;
use crate::wait::WaitSpec;
use crate::workflow::definition::{Decision, Node};
use crate::workflow::issue::{Issue, did_you_mean};
use crate::workflow::parameters::{Located, Parameters};
use crate::workflow::plan::{Builtin, PlanEach, Port, Uses};

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
        let each = self.each(node, &pointer);
        let retry_if = self.retry_condition(node, &pointer);
        let edges = self.edges(node, &pointer);
        let (uses, operation) = uses?;
        let effect = self.effect(node, operation, &pointer);
        self.check_retry(node, effect, &pointer);
        match (&uses, operation) {
            (_, Some(operation)) => {
                self.check_params(operation, &node.with, &format!("{pointer}/with"));
            }
            (Uses::Builtin(builtin), None) => self.check_builtin(*builtin, node, &pointer),
            (Uses::Plugin { .. }, None) => {}
        }
        let uses = with_dynamic_ports(uses, operation, &node.with);
        let (parameters, each, retry_if) = (parameters?, each?, retry_if?);
        Some(Draft { name, node, uses, effect, parameters, each, retry_if, edges })
    }

    fn check_builtin(&mut self, builtin: Builtin, node: &Node, pointer: &str) {
        if node.each.is_some() && (builtin.has_address() || builtin == Builtin::Respond) {
            let message = format!("`{}` cannot run once per item", builtin.name());
            let fix = "put it into a workflow of its own, and call that for each item".to_owned();
            self.add(
                Issue::new(format!("{pointer}/each"), "not-per-item", message).suggest(Some(fix)),
            );
        }
        let before = self.issues.len();
        if let Some(schema) = parameter_schema(builtin) {
            self.check_schema(&schema, &node.with, &format!("{pointer}/with"));
        }
        let with = Value::Object(node.with.clone());
        let constant = Parameters::prepare(&with).is_ok_and(|with| with.expressions().is_empty());
        // Reading sees more than the schema, but only what is written out.
        if builtin == Builtin::Wait
            && constant
            && self.issues.len() == before
            && let Err(error) = WaitSpec::parse(&with)
        {
            let pointer = format!("{pointer}/with{}", error.pointer);
            self.add(Issue::new(pointer, error.code(), error.message));
        }
    }

    fn check_retry(&mut self, node: &Node, effect: Effect, pointer: &str) {
        let Some(retry) = &node.retry else {
            return;
        };
        if retry.within.is_some_and(|within| within.0.is_zero()) {
            let message = "no attempt after the first would be due within no time";
            let fix = "leave it out, or say `\"attempts\": 1` for a single attempt";
            self.add(
                Issue::new(format!("{pointer}/retry/within"), "too-short", message)
                    .suggest(Some(fix.to_owned())),
            );
        }
        let blind = retry.on.get(&ErrorClass::UnknownOutcome) == Some(&Decision::Retry);
        if blind && !effect.repeatable() {
            let message = "an unsafe effect whose outcome nobody knows is never repeated";
            let fix = "declare `\"effect\": \"keyed\"` if the other side recognises repeated calls";
            self.add(
                Issue::new(format!("{pointer}/retry/on/unknown-outcome"), "blind-retry", message)
                    .suggest(Some(fix.to_owned())),
            );
        }
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

    /// The node's condition and parameters, prepared together: they are evaluated together. Those
    /// of a for-each node are one item's, and the condition is the node's.
    fn parameters(&mut self, node: &Node, pointer: &str) -> Option<Parameters> {
        let both = match node.each {
            None => json!({"when": node.when, "with": node.with}),
            Some(_) => json!({"with": node.with}),
        };
        let prepared = self.prepared(&both, pointer, &["/when"])?;
        let reads_item = |located: &&Located| located.expression.reads_field("item");
        if node.each.is_none()
            && let Some(located) = prepared.expressions().iter().find(reads_item)
        {
            let message =
                format!("`{}`: only a node with `each` has items", located.expression.text);
            let pointer = format!("{pointer}{}", located.pointer);
            self.add(Issue::new(pointer, "item-outside-each", message));
        }
        Some(prepared)
    }

    /// The list of a for-each node, prepared with its condition. None if it is wrong.
    #[expect(clippy::option_option, reason = "wrong, none, or some: as in the other checks")]
    fn each(&mut self, node: &Node, pointer: &str) -> Option<Option<PlanEach>> {
        let Some(each) = &node.each else {
            return Some(None);
        };
        // Laid out as in the file, so that an expression's pointer is right.
        let both = json!({"when": node.when, "each": {"items": each.items}});
        let parameters = self.prepared(&both, pointer, &["/when", "/each/items"])?;
        let limit = usize::try_from(each.limit).unwrap_or(usize::MAX);
        Some(Some(PlanEach { parameters, limit, on_item_error: each.on_item_error }))
    }

    #[expect(clippy::option_option, reason = "wrong, none, or some: as in the other checks")]
    fn retry_condition(&mut self, node: &Node, pointer: &str) -> Option<Option<Parameters>> {
        let condition = node.retry.as_ref().and_then(|retry| retry.condition.as_ref());
        let Some(condition) = condition else {
            return Some(None);
        };
        let value = json!({"retry": {"if": condition}});
        self.prepared(&value, pointer, &["/retry/if"]).map(Some)
    }

    /// Prepares expressions. What stands at one of `whole` has to be an expression.
    fn prepared(&mut self, value: &Value, pointer: &str, whole: &[&str]) -> Option<Parameters> {
        match Parameters::prepare(value) {
            Ok(prepared) => {
                self.keep_jq(&prepared, pointer);
                for at in whole {
                    let given = value.pointer(at).is_some_and(Value::is_string);
                    if given && !prepared.expressions().iter().any(|e| e.pointer == *at) {
                        let name = at.rsplit('/').next().unwrap_or_default();
                        let message = format!("`{name}` has to be an expression: `${{ .. }}`");
                        let pointer = format!("{pointer}{at}");
                        self.add(Issue::new(pointer, "not-an-expression", message));
                    }
                }
                Some(prepared)
            }
            Err(errors) => {
                self.add_template_errors(errors, pointer);
                None
            }
        }
    }

    fn edges(&mut self, node: &'a Node, pointer: &str) -> Vec<(&'a str, Port)> {
        let mut edges = Vec::new();
        for (at, text) in node.after.iter().enumerate() {
            let pointer = format!("{pointer}/after/{at}");
            let (from, port) = match text.split_once('.') {
                None => (text.as_str(), Port::Done),
                Some((from, ERROR_PORT)) => (from, Port::Error),
                Some((from, CONFLICT_PORT)) => (from, Port::Conflict),
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

    pub(super) fn check_ports(&mut self, drafts: &[Draft<'_>]) {
        for draft in drafts {
            for (at, (from, port)) in draft.edges.iter().enumerate() {
                let Port::Named(port) = port else { continue };
                let Some(source) = drafts.iter().find(|other| other.name == *from) else {
                    continue;
                };
                let known: Vec<&str> = match &source.uses {
                    // A list has no port of its own: its items may differ.
                    _ if source.each.is_some() => Vec::new(),
                    Uses::Plugin { ports, .. } => ports.iter().map(String::as_str).collect(),
                    Uses::Builtin(builtin) => builtin.ports().to_vec(),
                };
                if !known.contains(&port.as_str()) {
                    let suggestion = did_you_mean(port, known.iter().copied()).or_else(|| {
                        let all: Vec<_> =
                            known.iter().copied().chain([ERROR_PORT, CONFLICT_PORT]).collect();
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
