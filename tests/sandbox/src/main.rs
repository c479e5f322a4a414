//! Measures one call into the sandbox, through the port that the engine uses: a JSON transform of
//! about 1 KiB in a fresh instance, and in a warm one. Prints one line of JSON. Never part of the
//! server.

mod ports;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::Parser;
use serde_json::{Map, Value, json};
use tombolo_core::clock::Timestamp;
use tombolo_core::effect::Effect;
use tombolo_core::id::{ContentHash, RunId, TenantId, WorkflowId};
use tombolo_core::ports::egress::Caller;
use tombolo_core::ports::sandbox::{Evaluation, Invocation, Sandbox, Uninterrupted};
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

    let mut figures = Map::new();
    for instances in [Instances::Fresh, Instances::Kept] {
        let sandbox = sandbox(cache.path(), jq.clone(), instances)?;
        let plugin = sandbox.install(data.clone().into()).await?.hash;
        measure(&sandbox, plugin, arguments.calls, instances.name(), &mut figures).await?;
    }
    println!("{}", Value::Object(figures));
    Ok(())
}

/// Whether an instance is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instances {
    Fresh,
    Kept,
}

impl Instances {
    fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Kept => "warm",
        }
    }
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

/// The transform, a call that moves next to nothing, and the evaluation of an expression.
async fn measure(
    sandbox: &WasmSandbox,
    plugin: ContentHash,
    calls: u32,
    instances: &str,
    figures: &mut Map<String, Value>,
) -> anyhow::Result<()> {
    for (name, params) in [("call", transform()), ("least_call", least())] {
        let invocation = invocation(plugin, params);
        let times = Times::of(calls, async || {
            let invoked = sandbox.invoke(invocation.clone()).await;
            invoked.result.map(|_| ()).map_err(|error| anyhow!("{error:?}"))
        });
        times.await?.tell(&format!("{instances}_{name}"), figures);
    }
    let evaluation = evaluation();
    let times = Times::of(calls, async || {
        sandbox.evaluate(evaluation.clone()).await?;
        Ok(())
    });
    times.await?.tell(&format!("{instances}_expression"), figures);
    Ok(())
}

/// Renames three fields, keeps the others, decides one.
fn transform() -> Value {
    let program = "{id, contact: .name, mail: .email, value: .amount, lines,
        size: (if .amount > 100 then \"large\" else \"small\" end)}";
    json!({ "input": deal(), "program": program })
}

/// What every call costs, whatever it does.
fn least() -> Value {
    json!({ "input": 1, "program": "." })
}

fn invocation(plugin: ContentHash, params: Value) -> Invocation {
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
    Invocation {
        plugin,
        operation: "map".to_owned(),
        params: params.into(),
        caller: Arc::new(caller),
        version: 1,
        connection: None,
        started_at: NOW,
        timeout: TIMEOUT,
        deadline: NOW.plus(TIMEOUT),
        state: Arc::new(NoState),
        journal: Vec::new().into(),
        interrupt: Arc::new(Uninterrupted),
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

    fn tell(&self, name: &str, figures: &mut Map<String, Value>) {
        figures.insert(format!("{name}_us"), self.p50.into());
        figures.insert(format!("{name}_p99_us"), self.p99.into());
    }
}
