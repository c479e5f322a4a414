//! While some misbehave, the others are served; when there are too many, they wait.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tombolo_core::effect::Effect;
use tombolo_core::error::ErrorClass;
use tombolo_core::ports::sandbox::Sandbox;

use crate::support::outside::Answer;
use crate::support::{Call, LONG, Lab, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_endless_loops_do_not_keep_others_from_their_turn() {
    let mut settings = settings();
    settings.call.cpu_ms = 600_000;
    let lab = Lab::new(settings);
    let abuse = lab.install("guest_abuse").await;
    let mut loops = JoinSet::new();
    for workflow in 100..110 {
        let sandbox = lab.sandbox.clone();
        let call = Call::new(abuse, "spin", json!({})).workflow(workflow).timeout(LONG * 10);
        loops.spawn(async move { sandbox.invoke(call.invocation()).await });
    }
    for n in 0..50 {
        let echoed = lab.output(Call::new(abuse, "echo", json!({ "n": n }))).await;
        assert_eq!(echoed, json!({ "n": n }));
    }
    assert!(loops.try_join_next().is_none(), "the loops are still running");
    // Cancelling is dropping the future.
    loops.shutdown().await;
    assert_eq!(lab.output(Call::new(abuse, "echo", json!("after"))).await, json!("after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_calls_than_instances_wait_and_are_served() {
    let mut settings = settings();
    settings.computing_instances = 2;
    settings.warm.instances = 0;
    let lab = Lab::new(settings);
    let abuse = lab.install("guest_abuse").await;
    let mut calls = JoinSet::new();
    for n in 0..100 {
        let sandbox = lab.sandbox.clone();
        let call = Call::new(abuse, "echo", json!(n));
        calls.spawn(async move { sandbox.invoke(call.invocation()).await });
    }
    let mut finished = 0;
    while let Some(invoked) = calls.join_next().await {
        invoked.unwrap().result.expect("it waited and was served");
        finished += 1;
    }
    assert_eq!(finished, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_too_long_may_try_again_later() {
    let mut settings = settings();
    settings.computing_instances = 1;
    settings.queue_timeout_ms = 50;
    let lab = Lab::new(settings);
    let abuse = lab.install("guest_abuse").await;
    let sandbox = lab.sandbox.clone();
    let spin = Call::new(abuse, "spin", json!({})).timeout(Duration::from_secs(2));
    let holder = tokio::spawn(async move { sandbox.invoke(spin.invocation()).await });
    // Whichever comes first, one of the two has to be told that the other holds the instance.
    let error = loop {
        match lab.run(Call::new(abuse, "echo", json!(1))).await.result {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert_eq!((error.code.as_str(), error.class), ("sandbox-busy", ErrorClass::Transient));
    assert_eq!(holder.await.unwrap().result.unwrap_err().code, "step-timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_slow_system_keeps_nobody_from_computing() {
    let mut settings = settings();
    settings.instances = 1;
    settings.queue_timeout_ms = 100;
    let lab = Lab::new(settings);
    let (abuse, caller) = (lab.install("guest_abuse").await, lab.install("guest_caller").await);
    lab.outside.answers(|_| Answer::Never);
    let get = move || Call::new(caller, "call", json!({ "path": "/" })).effect(Effect::Read);
    let sandbox = lab.sandbox.clone();
    let slow = tokio::spawn(async move { sandbox.invoke(get().invocation()).await });
    // Whoever calls out waits for the one instance; whoever computes does not.
    while lab.outside.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    let error = lab.error(get()).await;
    assert_eq!((error.code.as_str(), error.class), ("sandbox-busy", ErrorClass::Transient));
    assert_eq!(lab.output(Call::new(abuse, "echo", json!(1))).await, json!(1));
    slow.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_call_gives_its_instance_back() {
    let mut settings = settings();
    settings.computing_instances = 1;
    let lab = Lab::new(settings);
    let abuse = lab.install("guest_abuse").await;
    for _ in 0..5 {
        let spin = lab.sandbox.invoke(Call::new(abuse, "spin", json!({})).invocation());
        let cancelled = tokio::time::timeout(Duration::from_millis(20), spin).await;
        assert!(cancelled.is_err(), "it was dropped while it ran");
    }
    assert_eq!(lab.output(Call::new(abuse, "echo", json!(1))).await, json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_address_space_instances_are_made_on_demand() {
    let mut settings = settings();
    // A pool of this size would need more addresses than a processor has.
    settings.instances = 1_000_000;
    let lab = Lab::new(settings);
    let abuse = lab.install("guest_abuse").await;
    assert_eq!(lab.output(Call::new(abuse, "echo", json!(1))).await, json!(1));
    let bomb = Call::new(abuse, "allocate", json!({ "n": 200 * 1024 * 1024 }));
    assert_eq!(lab.error(bomb).await.code, "memory-limit");
}
