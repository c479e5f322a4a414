//! Measures one call into the sandbox, through the port that the engine uses: a JSON transform of
//! about 1 KiB in a fresh instance, and in a warm one. Prints one line of JSON. Never part of the
//! server.

mod ports;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::Parser;
use serde_json::{Value, json};
use tombolo_core::clock::Timestamp;
use tombolo_core::effect::Effect;
use tombolo_core::id::{ContentHash, RunId, TenantId, WorkflowId};
use tombolo_core::ports::egress::Caller;
use tombolo_core::ports::sandbox::{Evaluation, Invocation, Sandbox};
use tombolo_sandbox::{SandboxSettings, WasmSandbox};
use uuid::Uuid;

use crate::ports::{NoState, NoWayOut, Nothing, Standing};

/// When everything happens: 2023-03-15T13:20:00Z.
const NOW: Timestamp = Timestamp(1_678_886_400_000);

/// Longer than any call takes.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Calls before the measured ones, as a part of them.
const WARM_UP: f64 = 0.1;

/// One call into the sandbox, in microseconds.
#[derive(Debug, Parser)]
#[command(name = "sandbox-bench")]
struct Arguments {
    /// The folder of the built components.
    #[arg(long)]
    components: PathBuf,
    /// Calls of each kind.
    #[arg(long, default_value_t = 5_000)]
    calls: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let read = |name: &str| {
        let path = arguments.components.join(format!("plugin_{name}.wasm"));
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (data, jq) = (read("data")?, read("jq")?);
    let cache = tempfile::tempdir()?;

    let fresh = sandbox(cache.path(), jq.clone(), Instances::Fresh)?;
    let plugin = install(&fresh, data.clone()).await?;
    let (fresh_call, fresh_expression) = measure(&fresh, plugin, arguments.calls).await?;
    drop(fresh);
    let warm = sandbox(cache.path(), jq, Instances::Kept)?;
    install(&warm, data).await?;
    let (warm_call, warm_expression) = measure(&warm, plugin, arguments.calls).await?;

    let figures = json!({
        "fresh_call_us": fresh_call.p50, "fresh_call_p99_us": fresh_call.p99,
        "warm_call_us": warm_call.p50, "warm_call_p99_us": warm_call.p99,
        "fresh_expression_us": fresh_expression.p50, "warm_expression_us": warm_expression.p50,
    });
    println!("{figures}");
    Ok(())
}

/// Whether an instance is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instances {
    Fresh,
    Kept,
}

fn sandbox(
    cache: &std::path::Path,
    evaluator: Vec<u8>,
    instances: Instances,
) -> anyhow::Result<WasmSandbox> {
    let mut settings = SandboxSettings::default();
    if instances == Instances::Fresh {
        settings.warm.instances = 0;
    }
    let (egress, source) = (Arc::new(NoWayOut), Arc::new(Nothing));
    let clock = Arc::new(Standing(NOW));
    Ok(WasmSandbox::new(settings, cache, egress, source, clock, evaluator.into())?)
}

async fn install(sandbox: &WasmSandbox, component: Vec<u8>) -> anyhow::Result<ContentHash> {
    Ok(sandbox.install(component.into()).await?.hash)
}

/// A call of the plugin, and an evaluation of an expression.
async fn measure(
    sandbox: &WasmSandbox,
    plugin: ContentHash,
    calls: u32,
) -> anyhow::Result<(Times, Times)> {
    let invocation = invocation(plugin);
    let call = Times::of(calls, async || {
        let invoked = sandbox.invoke(invocation.clone()).await;
        invoked.result.map(|_| ()).map_err(|error| anyhow!("{error:?}"))
    })
    .await?;
    let evaluation = evaluation();
    let expression = Times::of(calls, async || {
        sandbox.evaluate(evaluation.clone()).await?;
        Ok(())
    })
    .await?;
    Ok((call, expression))
}

fn invocation(plugin: ContentHash) -> Invocation {
    let id = Uuid::from_u128(1);
    let caller = Caller {
        tenant: TenantId(id),
        workflow: WorkflowId(id),
        run: RunId(id),
        node: "shape".to_owned(),
        attempt: 1,
        idempotency_key: "key".to_owned(),
        correlation_id: "correlation".to_owned(),
        effect: Effect::Pure,
    };
    let program = "{id, contact: .name, mail: .email, value: .amount, lines,
        size: (if .amount > 100 then \"large\" else \"small\" end)}";
    Invocation {
        plugin,
        operation: "map".to_owned(),
        params: json!({ "input": deal(), "program": program }).into(),
        caller: Arc::new(caller),
        version: 1,
        connection: None,
        started_at: NOW,
        timeout: TIMEOUT,
        deadline: NOW.plus(TIMEOUT),
        state: Arc::new(NoState),
    }
}

fn evaluation() -> Evaluation {
    let id = Uuid::from_u128(1);
    Evaluation {
        tenant: TenantId(id),
        workflow: WorkflowId(id),
        version: 1,
        scope: json!({ "trigger": deal(), "steps": {} }).to_string(),
        expressions: vec![".trigger.amount > 100".to_owned()],
        now: NOW,
    }
}

/// About 1 KiB of JSON.
fn deal() -> Value {
    let line = |number: u32| json!({"sku": format!("A-{number:04}"), "quantity": number % 9 + 1, "price": 12.5});
    let lines: Vec<Value> = (1..=20).map(line).collect();
    json!({"id": 1, "name": "Ada Lovelace", "email": "ada@example.com", "amount": 129.5,
           "tags": ["b", "a"], "lines": lines})
}

/// Microseconds.
struct Times {
    p50: f64,
    p99: f64,
}

impl Times {
    /// Of calls one after the other.
    async fn of(calls: u32, call: impl AsyncFn() -> anyhow::Result<()>) -> anyhow::Result<Self> {
        for _ in 0..(f64::from(calls) * WARM_UP) as u32 {
            call().await?;
        }
        let mut times = Vec::with_capacity(calls as usize);
        for _ in 0..calls {
            let started = Instant::now();
            call().await?;
            times.push(started.elapsed());
        }
        times.sort();
        let at = |part: f64| {
            let time = times.get((times.len() as f64 * part) as usize);
            time.map_or(0.0, |time| (time.as_secs_f64() * 1e7).round() / 10.0)
        };
        Ok(Self { p50: at(0.5), p99: at(0.99) })
    }
}
