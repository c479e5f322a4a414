//! How long one call takes: `cargo run --release -p tombolo-sandbox --example latency`.
//!
//! Prints the median and the 99th percentile in microseconds of calls one after the other, and the
//! calls per second that all cores make together.

#[expect(dead_code, reason = "shared with the scenarios, which use the rest")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Call, Lab, NOW, settings};
use tombolo_core::ports::sandbox::{Evaluation, Sandbox};
use tombolo_sandbox::WasmSandbox;

const CALLS: u32 = 5_000;
const WARM_UP: u32 = 500;

#[tokio::main]
async fn main() {
    let mut fresh = settings();
    fresh.warm.instances = 0;
    let fresh = Lab::new(fresh);
    let abuse = fresh.install("guest_abuse").await;
    let switch = fresh.install("plugin_switch").await;
    let warm = Lab::new(settings());
    warm.install("guest_abuse").await;
    warm.install("plugin_switch").await;

    let deal = json!({ "id": "7", "name": "Acme", "amount": 12000, "stage": "closedwon" });
    let rules = json!({ "ports": { "enterprise": true, "standard": false } });
    for (name, lab) in [("fresh", &fresh), ("warm", &warm)] {
        invoke(&format!("{name}: echo"), lab, &Call::new(abuse, "echo", deal.clone())).await;
        invoke(&format!("{name}: switch"), lab, &Call::new(switch, "switch", rules.clone())).await;
        evaluate(&format!("{name}: expression"), &lab.sandbox).await;
    }
}

async fn invoke(name: &str, lab: &Lab, call: &Call) {
    let sandbox = &lab.sandbox;
    let once = async || {
        let invoked = sandbox.invoke(call.clone().invocation()).await;
        assert!(invoked.result.is_ok(), "{:?}", invoked.result);
    };
    report(name, once).await;
    together(name, sandbox, call).await;
}

async fn evaluate(name: &str, sandbox: &Arc<WasmSandbox>) {
    let call = Call::new(tombolo_core::id::ContentHash([0; 32]), "", json!(null));
    let caller = call.caller();
    let evaluation = Evaluation {
        tenant: caller.tenant,
        workflow: caller.workflow,
        version: 1,
        scope: json!({ "steps": { "deal": { "amount": 12000, "name": "Acme" } } }).to_string(),
        expressions: vec![
            ".steps.deal.amount > 10000".to_owned(),
            "\"Hello \" + .steps.deal.name".to_owned(),
        ],
        now: NOW,
    };
    report(name, async || {
        sandbox.evaluate(evaluation.clone()).await.expect("two values");
    })
    .await;
}

async fn report(name: &str, once: impl AsyncFn()) {
    for _ in 0..WARM_UP {
        once().await;
    }
    let mut times = Vec::new();
    for _ in 0..CALLS {
        let started = Instant::now();
        once().await;
        times.push(started.elapsed());
    }
    times.sort();
    let at = |part: f64| micros(times[(times.len() as f64 * part) as usize]);
    println!("{name:24} p50 {:8.1} µs   p99 {:8.1} µs", at(0.5), at(0.99));
}

async fn together(name: &str, sandbox: &Arc<WasmSandbox>, call: &Call) {
    let left = Arc::new(AtomicU64::new(u64::from(CALLS) * 2));
    let started = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (sandbox, call, left) = (sandbox.clone(), call.clone(), left.clone());
        workers.spawn(async move {
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok()
            {
                let invoked = sandbox.invoke(call.clone().invocation()).await;
                assert!(invoked.result.is_ok());
            }
        });
    }
    workers.join_all().await;
    let per_second = f64::from(CALLS) * 2.0 / started.elapsed().as_secs_f64();
    println!("{name:24} {per_second:8.0} calls/s from 8 callers");
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
