//! A step that reaches nothing sees the same every time, and nothing of the steps before it.

use std::collections::HashSet;

use serde_json::json;
use tombolo_core::effect::Effect;

use crate::support::{Call, Lab, NOW, settings};

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_of_a_transform_stands_and_sleeping_takes_no_time() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    let seen = lab.output(Call::new(abuse, "clock", json!({}))).await;
    assert_eq!(seen, json!({ "before": NOW.0, "after": NOW.0, "slept_ms": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_randomness_of_a_transform_belongs_to_its_step() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    // A workflow of its own each, so that no instance is used twice.
    let draw = async |workflow, key| {
        lab.output(Call::new(abuse, "random", json!({})).workflow(workflow).key(key)).await
    };
    let first = draw(10, "a").await;
    assert_eq!(first.as_array().map(Vec::len), Some(4));
    assert_eq!(draw(11, "a").await, first, "every attempt draws the same");
    assert_ne!(draw(12, "b").await, first, "another step draws others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_has_the_real_clock_and_randomness() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    let mut drawn = HashSet::new();
    for _ in 0..3 {
        let seen = lab.output(Call::new(caller, "clock", json!({})).effect(Effect::Read)).await;
        assert!(seen["now"].as_i64().unwrap() > NOW.0 + 1_000_000, "{seen}");
        drawn.insert(seen["random"].as_u64().unwrap());
    }
    assert_eq!(drawn.len(), 3);
    // A pure step of a connector computes only, so it sees what every pure step sees.
    let seen = lab.output(Call::new(caller, "clock", json!({})).effect(Effect::Pure)).await;
    assert_eq!(seen["now"], json!(NOW.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_files_environment_or_arguments() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    let seen = lab.output(Call::new(abuse, "outside", json!({}))).await;
    assert_eq!(
        seen,
        json!({ "file": false, "write": false, "variables": 0, "arguments": 0, "stdin": "" })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_says_so_is_reused_within_the_same_bounds() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    let count = || Call::new(caller, "count", json!({}));
    assert_eq!(lab.output(count()).await, json!(1));
    assert_eq!(lab.output(count()).await, json!(2), "reused for the same key");
    assert_eq!(lab.output(count().tenant(2)).await, json!(1));
    assert_eq!(lab.output(count().workflow(2)).await, json!(1));
    assert_eq!(lab.output(count().version(2)).await, json!(1));
    assert_eq!(lab.sandbox.warm_instances(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_instance_stays_with_tenant_workflow_and_version() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    let count = || Call::new(abuse, "count", json!({}));
    assert_eq!(lab.output(count()).await, json!(1));
    assert_eq!(lab.output(count()).await, json!(2), "reused for the same key");
    assert_eq!(lab.output(count().tenant(2)).await, json!(1));
    assert_eq!(lab.output(count().workflow(2)).await, json!(1));
    assert_eq!(lab.output(count().version(2)).await, json!(1));
    assert_eq!(lab.output(count()).await, json!(3));
    assert_eq!(lab.sandbox.warm_instances(), 4);
    assert_eq!(lab.output(count().tenant(3)).await, json!(1));
    assert_eq!(lab.sandbox.warm_instances(), 4, "the one unused for longest made room");
    assert_eq!(lab.output(count().tenant(2)).await, json!(1), "and that was the second tenant's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_instance_is_not_kept_after_trouble() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    let trouble = [
        ("fail", json!({ "n": 1 })),
        ("panic", json!({})),
        ("exit", json!({ "n": 0 })),
        ("allocate", json!({ "n": 200 * 1024 * 1024 })),
        // Fine in itself, but the memory stays.
        ("allocate", json!({ "n": 40 * 1024 * 1024 })),
    ];
    for (operation, params) in trouble {
        assert_eq!(lab.output(Call::new(abuse, "count", json!({}))).await, json!(1));
        let _ = lab.run(Call::new(abuse, operation, params)).await;
    }
    assert_eq!(lab.sandbox.warm_instances(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_instance_is_replaced_after_its_calls() {
    let mut settings = settings();
    settings.warm.calls = 2;
    let lab = Lab::new(settings);
    let abuse = lab.install("guest_abuse").await;
    for expected in [1, 2, 1, 2, 1] {
        assert_eq!(lab.output(Call::new(abuse, "count", json!({}))).await, json!(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_instance_sees_the_clock_of_its_own_call() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    lab.output(Call::new(abuse, "clock", json!({}))).await;
    let mut invocation = Call::new(abuse, "clock", json!({})).invocation();
    invocation.started_at.0 += 5_000;
    let outcome = tombolo_core::ports::sandbox::Sandbox::invoke(&*lab.sandbox, invocation)
        .await
        .result
        .unwrap();
    assert_eq!(outcome.output.value()["before"], json!(NOW.0 + 5_000));
}
