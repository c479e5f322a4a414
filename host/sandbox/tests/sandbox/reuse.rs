//! Plugins that are reused answer as if they were not: the same calls in any order, repeated, give
//! the answers of fresh instances.

use serde_json::{Value, json};
use tombolo_core::effect::Effect;
use tombolo_core::error::StepError;
use tombolo_core::ports::egress::OutboundCall;

use crate::support::outside::{Answer, response};
use crate::support::{Call, Lab, settings};

/// Every operation of the plugins of the house that say `reuse`, errors among them.
fn calls() -> Vec<(&'static str, &'static str, Value)> {
    let rows = json!([{"n": 2, "t": "b"}, {"n": 1, "t": "a"}, {"n": 2, "t": "b"}]);
    vec![
        ("plugin_data", "map", json!({"input": rows, "program": "map(.n + 1)"})),
        ("plugin_data", "map", json!({"input": rows, "program": "map(.n + 2) | add"})),
        ("plugin_data", "map", json!({"input": rows, "program": "error(\"no\")"})),
        ("plugin_data", "map", json!({"input": rows, "program": "map("})),
        ("plugin_data", "filter", json!({"items": rows, "where": ".n > 1"})),
        ("plugin_data", "split", json!({"items": [{"l": [1, 2]}, {"l": [3]}], "field": "l"})),
        ("plugin_data", "aggregate", json!({"items": rows, "fields": {"sum": {"sum": "n"}}})),
        ("plugin_data", "lookup", json!({"table": rows, "column": "t", "value": "a"})),
        ("plugin_data", "sort", json!({"items": rows, "by": [{"field": "n"}]})),
        ("plugin_data", "limit", json!({"items": rows, "count": 1})),
        ("plugin_data", "deduplicate", json!({"items": rows, "by": ["n"]})),
        ("plugin_data", "batch", json!({"items": rows, "size": 2})),
        ("plugin_data", "parse-csv", json!({"text": "a,b\n1,2\n"})),
        ("plugin_data", "write-csv", json!({"items": rows})),
        ("plugin_data", "validate", json!({"input": {"n": 1}, "schema": {"required": ["n"]}})),
        ("plugin_data", "validate", json!({"input": {}, "schema": {"required": ["n"]}})),
        ("plugin_switch", "switch", json!({"ports": {"a": true}, "else": "b"})),
        ("plugin_switch", "switch", json!({"ports": {"a": false}, "else": "b"})),
        ("plugin_switch", "switch", json!({"ports": {"a": false}})),
        ("plugin_jq", "eval", json!({"scope": {"a": 1}, "expressions": [".a + 1", "[.a]"]})),
        ("plugin_jq", "eval", json!({"scope": {"a": 2}, "expressions": [".a + 1", "now"]})),
        ("plugin_jq", "eval", json!({"scope": {"a": 2}, "expressions": [".a.b"]})),
        ("plugin_jq", "check", json!({"expressions": [".a", "("]})),
        ("plugin_http", "get", json!({"url": "https://x.test/a", "query": {"n": 1}})),
        ("plugin_http", "get", json!({"url": "https://x.test/gone"})),
        ("plugin_http", "get", json!({"path": "/a"})),
        ("plugin_http", "request", json!({"method": "POST", "url": "https://x.test/b", "json": 1})),
        (
            "plugin_http",
            "request",
            json!({"method": "PUT", "url": "https://x.test/b", "text": "x"}),
        ),
        ("plugin_http", "request", json!({"method": "PUT", "url": "https://x.test/gone"})),
        ("plugin_http", "graphql", json!({"url": "https://x.test/g", "document": "{ a }"})),
        ("plugin_hubspot", "get-deal", json!({"id": "7"})),
        ("plugin_asana", "create-project", json!({"name": "x", "workspace": "1"})),
    ]
}

/// The numbers below `n` in an order that looks like none, the same every time.
fn shuffled(n: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut seed = 0x9e37_79b9_usize.wrapping_mul(round + 1);
    for at in (1..n).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(at, (seed >> 33) % (at + 1));
    }
    order
}

/// The other side: what it answers shows what it was asked.
fn upstream(call: &OutboundCall) -> Answer {
    let status = if call.uri.path() == "/gone" { 404 } else { 200 };
    let text = String::from_utf8_lossy(&call.body);
    response(status, json!({"url": call.uri.to_string(), "body": text}).to_string())
}

async fn answers(lab: &Lab, order: &[usize]) -> Vec<(usize, Result<Value, StepError>)> {
    lab.outside.answers(upstream);
    let calls = calls();
    let mut answers = Vec::new();
    for at in order {
        let (plugin, operation, params) = calls[*at].clone();
        let effect = match plugin {
            "plugin_data" | "plugin_switch" | "plugin_jq" => Effect::Pure,
            _ => Effect::Unsafe,
        };
        let plugin = lab.install(plugin).await;
        let invoked = lab.run(Call::new(plugin, operation, params).effect(effect)).await;
        let output = invoked
            .result
            .map(|outcome| json!({ "output": outcome.output.value(), "ports": outcome.ports }));
        answers.push((*at, output));
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_do_not_depend_on_earlier_calls() {
    let mut fresh = settings();
    fresh.warm.instances = 0;
    let count = calls().len();
    let order: Vec<usize> = (0..count).collect();
    let expected = answers(&Lab::new(fresh), &order).await;
    assert!(expected.iter().any(|(_, answer)| answer.is_err()), "errors are among them");

    let warm = Lab::new(settings());
    for round in 0..5 {
        for (at, answer) in answers(&warm, &shuffled(count, round)).await {
            assert_eq!(answer, expected[at].1, "round {round}: {:?}", calls()[at]);
        }
    }
    assert!(warm.sandbox.warm_instances() > 0, "instances were reused");
}
