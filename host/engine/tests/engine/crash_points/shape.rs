//! Random workflows, and what their operations do.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tombolo_core::error::ErrorClass;

use crate::support::scripted::Changes;
use crate::support::{Bench, Script};

/// A node of a random workflow.
#[derive(Debug, Clone)]
pub struct Node {
    pub kind: Kind,
    /// Earlier nodes it comes after, by bit.
    after: u8,
    join_any: bool,
    /// What its first attempt does.
    pub fails: Fails,
    /// How many calls an attempt makes that change the other side.
    pub calls: u8,
    on_error_continue: bool,
    skipped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Pure,
    Read,
    Keyed,
    Unsafe,
    Wait,
    Workflow,
    Publish,
    Callback,
    /// Of so many items, all of this operation.
    Each(&'static str, u8),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fails {
    No,
    /// At that call, or before it has made one.
    Once(u8),
    /// Its credentials are refused once.
    Refused,
    ForGood,
}

impl Node {
    /// True if the node attempts an operation of the plugin.
    pub fn attempts(&self) -> bool {
        !matches!(self.kind, Kind::Wait | Kind::Workflow | Kind::Publish | Kind::Callback)
    }

    /// True if a call of it must not be made twice, under no key.
    pub fn is_unsafe(&self) -> bool {
        matches!(self.kind, Kind::Unsafe | Kind::Each("unsafe", _))
    }
}

pub fn node() -> impl Strategy<Value = Node> {
    let kind = prop_oneof![
        2 => Just(Kind::Pure),
        2 => Just(Kind::Read),
        4 => Just(Kind::Keyed),
        4 => Just(Kind::Unsafe),
        1 => Just(Kind::Wait),
        1 => Just(Kind::Workflow),
        1 => Just(Kind::Publish),
        1 => Just(Kind::Callback),
        1 => (0..4u8).prop_map(|count| Kind::Each("keyed", count)),
        1 => (0..3u8).prop_map(|count| Kind::Each("unsafe", count)),
    ];
    let fails = prop_oneof![
        6 => Just(Fails::No),
        3 => (0..4u8).prop_map(Fails::Once),
        1 => Just(Fails::Refused),
        1 => Just(Fails::ForGood),
    ];
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.1));
    (kind, any::<u8>(), fails, 1..4u8, flags).prop_map(|(kind, after, fails, calls, flags)| {
        let (join_any, on_error_continue, skipped) = flags;
        Node { kind, after, join_any, fails, calls, on_error_continue, skipped }
    })
}

pub fn name(at: usize) -> String {
    format!("n{at}")
}

/// The workflow that others call, and that hears what they publish.
pub fn child() -> (Value, Value) {
    let nodes = json!({"work": {"use": "test.keyed"}});
    (nodes, json!({"triggers": {"told": {"event": {"name": "thing.done.v1"}}}}))
}

/// The workflow file's nodes.
pub fn file(nodes: &[Node]) -> Value {
    let mut file = Map::new();
    for (at, node) in nodes.iter().enumerate() {
        let after: Vec<String> =
            (0..at).filter(|other| node.after & (1 << other) != 0).map(name).collect();
        let mut fields = json!({
            "after": after,
            "join": if node.join_any { "any" } else { "all" },
            "on_error": if node.on_error_continue { "continue" } else { "fail" },
        });
        if node.skipped {
            fields["when"] = json!("${ .trigger.nothing }");
        }
        if node.attempts() {
            fields["retry"] = json!({"attempts": 3, "backoff": {"first": "1h"}});
            fields["connection"] = json!("crm");
        }
        if let Kind::Each(_, count) = node.kind {
            let source = format!("{}_items", name(at));
            let items: Vec<u8> = (0..count).collect();
            fields["each"] = json!({"items": format!("${{ .steps.{source}.items }}"), "limit": 2});
            fields["after"].as_array_mut().unwrap().push(json!(source));
            file.insert(source, json!({"use": "set", "with": {"items": items}}));
        }
        let (uses, with) = uses(node.kind, at);
        fields["use"] = json!(uses);
        fields["with"] = with;
        file.insert(name(at), fields);
    }
    file.into()
}

/// What a node runs, and its parameters.
fn uses(kind: Kind, at: usize) -> (String, Value) {
    let told = json!({"id": "${ .trigger.id }", "at": at});
    let (uses, with) = match kind {
        Kind::Wait => ("wait", json!({"for": "1h"})),
        Kind::Workflow => ("workflow", json!({"name": "child", "input": told})),
        Kind::Publish => ("publish", json!({"event": "thing.done.v1", "data": told})),
        Kind::Callback => ("callback", json!({"expires": "30d"})),
        Kind::Each(operation, _) => {
            return (format!("test.{operation}"), json!({"n": "${ .item }"}));
        }
        Kind::Pure => ("test.pure", told),
        Kind::Read => ("test.read", told),
        Kind::Keyed => ("test.keyed", told),
        Kind::Unsafe => ("test.unsafe", told),
    };
    (uses.to_owned(), with)
}

/// Sets what the operations do.
pub fn script(bench: &Bench, nodes: &[Node]) {
    for (at, node) in nodes.iter().enumerate().filter(|(_, node)| node.attempts()) {
        let sandbox = &bench.sandbox;
        sandbox.forget(&name(at));
        let calls = node.calls;
        sandbox.always(&name(at), Changes { calls, fails_at: None });
        match node.fails {
            Fails::No => {}
            Fails::Once(fails_at) if fails_at < calls => {
                let fails_at = Some(fails_at);
                sandbox.next(&name(at), Script::Changes(Changes { calls, fails_at }));
            }
            Fails::Once(_) => sandbox.fail(&name(at), ErrorClass::Transient),
            Fails::Refused => sandbox.fail(&name(at), ErrorClass::Auth),
            Fails::ForGood => sandbox.fail(&name(at), ErrorClass::Permanent),
        }
    }
}
