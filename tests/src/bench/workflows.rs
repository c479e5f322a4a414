//! The workflows that are measured.

use serde_json::{Map, Value, json};

/// The connection to the sink.
pub const SINK: &str = "sink";

/// Renames three fields, keeps the others, and decides one.
const RENAME: &str = "{id, contact: .name, mail: .email, value: .amount, tags, lines,
    size: (if .amount > 100 then \"large\" else \"small\" end)}";

/// How many `map` nodes `w4` has.
pub const CHAIN: u32 = 10;

/// All of them.
pub fn all() -> Vec<Value> {
    vec![ack(), w1(), w2("w2", None), w2("w2-keyed", Some("keyed")), w4()]
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

/// Ten `map` nodes in a row, and the response.
fn w4() -> Value {
    let mut nodes = Map::new();
    for number in 1..=CHAIN {
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
    workflow("w4", "result", nodes.into())
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
