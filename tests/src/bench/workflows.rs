//! The workflows that are measured.

use serde_json::{Map, Value, json};

/// The connection to the sink.
pub const SINK: &str = "sink";

/// Renames three fields, keeps the others, and decides one.
const RENAME: &str = "{id, contact: .name, mail: .email, value: .amount, tags, lines,
    size: (if .amount > 100 then \"large\" else \"small\" end)}";

/// How many `map` nodes `w4` has.
pub const CHAIN: u32 = 10;

/// How many `chain40` has.
pub const LONG_CHAIN: u32 = 40;

/// How many items `w3` has, and calls it makes.
pub const ITEMS: u32 = 10;

/// The connection to the sink that takes its time.
pub const SLOW: &str = "slow";

/// How many calls of `fanout` go at the same time.
const BRANCHES: u32 = 4;

/// All of them.
pub fn all() -> Vec<Value> {
    vec![
        ack(),
        w1(),
        w2("w2", None),
        w2("w2-keyed", Some("keyed")),
        w3(),
        chain("w4", CHAIN),
        chain("chain40", LONG_CHAIN),
        fanout(),
    ]
}

/// Answered when durable; one pure node.
fn ack() -> Value {
    let set =
        json!({"use": "set", "with": {"id": "${ .trigger.id }", "name": "${ .trigger.name }"}});
    workflow("ack", "accepted", json!({ "keep": set }))
}

/// One `map`; its output is the response.
fn w1() -> Value {
    let map = json!({"use": "data.map", "with": {"input": "${ .trigger }", "program": RENAME}});
    workflow("w1", "result", json!({ "rename": map }))
}

/// Answered at once; a condition, `map`, a POST to the sink. `effect` is that of the POST, if it is
/// not the one that the plugin declares.
fn w2(name: &str, effect: Option<&str>) -> Value {
    let mut post = json!({
        "use": "http.request", "connection": SINK, "after": ["rename"],
        "with": {"method": "POST", "path": "/hit", "json": "${ .steps.rename }"},
    });
    if let Some(effect) = effect {
        post["effect"] = effect.into();
    }
    let map = json!({
        "use": "data.map", "when": "${ .trigger.amount > 100 }",
        "with": {"input": "${ .trigger }", "program": RENAME},
    });
    workflow(name, "accepted", json!({"rename": map, "post": post}))
}

/// Answered at once; a list of ten, a POST for each item.
fn w3() -> Value {
    let program = format!("[range({ITEMS}) as $n | {{id: (.id * {ITEMS} + $n), name}}]");
    let split = json!({"use": "data.map", "with": {"input": "${ .trigger }", "program": program}});
    let post = json!({
        "use": "http.request", "connection": SINK, "effect": "keyed", "after": ["split"],
        "each": {"items": "${ .steps.split }", "limit": ITEMS},
        "with": {"method": "POST", "path": "/hit", "json": "${ .item }"},
    });
    workflow("w3", "accepted", json!({"split": split, "post": post}))
}

/// Four calls of 50 ms at the same time, and the response.
fn fanout() -> Value {
    let mut nodes = Map::new();
    let mut after = Vec::new();
    for number in 1..=BRANCHES {
        let call = json!({
            "use": "http.request", "connection": SLOW, "effect": "keyed",
            "with": {"method": "GET", "path": format!("/branch/{number}")},
        });
        nodes.insert(format!("branch{number}"), call);
        after.push(format!("branch{number}"));
    }
    let join = json!({"use": "set", "after": after, "with": {"id": "${ .trigger.id }"}});
    nodes.insert("join".to_owned(), join);
    workflow("fanout", "result", nodes.into())
}

/// So many `map` nodes in a row, and the response.
fn chain(name: &str, length: u32) -> Value {
    let mut nodes = Map::new();
    for number in 1..=length {
        let mut node = json!({"use": "data.map", "with": {"program": ".amount += 1"}});
        if number == 1 {
            node["with"]["input"] = "${ .trigger }".into();
        } else {
            let before = format!("map{}", number - 1);
            node["with"]["input"] = format!("${{ .steps.{before} }}").into();
            node["after"] = json!([before]);
        }
        nodes.insert(format!("map{number}"), node);
    }
    workflow(name, "result", nodes.into())
}

fn workflow(name: &str, respond: &str, nodes: Value) -> Value {
    json!({
        "name": name,
        "triggers": {"in": {"webhook": {
            "path": format!("bench/{name}"), "verify": "none", "respond": respond,
        }}},
        "nodes": nodes,
    })
}
