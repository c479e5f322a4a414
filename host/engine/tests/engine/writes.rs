//! How many writes a run costs, by its shape: the table of docs/durability.md.

use serde_json::{Map, Value, json};
use tombolo_core::error::ErrorClass;
use tombolo_core::run::RunState;

use crate::support::{Bench, HOUR, state};

/// So many nodes of an operation, one after the other.
fn chain(operation: &str, count: usize) -> Value {
    let mut nodes = Map::new();
    for at in 0..count {
        let after: Vec<String> =
            (0..at).last().map(|before| format!("n{before}")).into_iter().collect();
        nodes.insert(format!("n{at}"), json!({"use": operation, "after": after}));
    }
    nodes.into()
}

/// Writes of one run of these nodes, alone, from its event to its end.
async fn writes(nodes: Value, fails_first: Option<&str>) -> usize {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply_as("child", chain("test.keyed", 1), json!({})).await;
    engine.apply(nodes, json!({})).await;
    if let Some(node) = fails_first {
        bench.sandbox.fail(node, ErrorClass::Transient);
    }
    let before = engine.store.writes();
    let run = engine.run_with("1", json!({"list": (0..1_000).collect::<Vec<_>>()})).await;
    let ended = bench
        .until(run, |view| {
            if view.run.state == RunState::Waiting {
                bench.clock.forward(HOUR);
            }
            view.run.state.ended()
        })
        .await;
    assert_eq!(state(&ended), RunState::Succeeded);
    engine.store.writes() - before
}

#[tokio::test]
async fn a_run_pays_for_its_effects_and_not_for_its_steps() {
    let mixed = json!({
        "read": {"use": "test.read"},
        "map": {"use": "set", "after": ["read"], "with": {"x": "${ .steps.read }"}},
        "keyed": {"use": "test.keyed", "after": ["map"]},
    });
    let retried = json!({"n0": {"use": "test.keyed", "retry": {"backoff": {"first": "1h"}}}});
    let waits = json!({"w": {"use": "wait", "with": {"for": "2h"}}});
    let publishes = json!({"p": {"use": "publish", "with": {"event": "a.b.v1"}}});
    let calls = json!({"c": {"use": "workflow", "with": {"name": "child"}}});
    let list =
        json!({"l": {"use": "test.keyed", "each": {"items": "${ .trigger.list }", "limit": 10}}});
    let shapes = [
        ("one pure step", chain("set", 1), None, 1),
        ("ten pure steps", chain("test.pure", 10), None, 1),
        ("forty pure steps", chain("set", 40), None, 1),
        ("a read, a map, a keyed call", mixed, None, 2),
        ("ten keyed calls", chain("test.keyed", 10), None, 2),
        ("one unsafe call", chain("test.unsafe", 1), None, 2),
        ("two unsafe calls", chain("test.unsafe", 2), None, 4),
        ("a keyed call that is retried once", retried, Some("n0"), 4),
        ("a wait", waits, None, 4),
        ("a publish", publishes, None, 2),
        ("a call of another workflow, both runs", calls, None, 6),
        ("a list of 1,000 keyed items", list, None, 6),
    ];
    let mut wrong = Vec::new();
    for (name, nodes, fails_first, expected) in shapes {
        let counted = writes(nodes, fails_first).await;
        println!("{name}: {counted}");
        if counted != expected {
            wrong.push(format!("{name}: {counted}, not {expected}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
