//! A transform that misbehaves in every way a transform can, one operation each. For the tests of
//! the sandbox only.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tombolo_sdk::{Effect, NodeError, Operation, Outcome, Plugin, Routed, Schemas, log};

tombolo_sdk::export!(plugin);

/// What this plugin offers.
pub fn plugin() -> Plugin {
    Plugin::transform("abuse", env!("CARGO_PKG_VERSION"), "Misbehaves").reusable().operations([
        pure("count", count),
        pure("echo", |value: Value| Ok(value)),
        pure("spin", spin),
        pure("allocate", allocate),
        pure("allocate-politely", allocate_politely),
        pure("output", |size: Size| Ok("x".repeat(size.n))),
        Operation::routing("ports", "Fires n ports", Effect::Pure, ports),
        pure("recurse", |size: Size| Ok(recurse(size.n))),
        pure("panic", panicking),
        pure("exit", |size: Size| -> Result<Value, NodeError> {
            std::process::exit(i32::try_from(size.n).unwrap_or(1))
        }),
        pure("print", print),
        pure("log", logging),
        pure("log-once", |size: Size| {
            log::info("x".repeat(size.n));
            Ok(Value::Null)
        }),
        pure("clock", clock),
        pure("random", random),
        pure("outside", outside),
        pure("fail", fail),
        raw("not-json", |_| "{".to_owned()),
        raw("twice", |_| r#"{"a":1,"a":2}"#.to_owned()),
        raw("deep", |_| "[".repeat(10_000) + &"]".repeat(10_000)),
    ])
}

#[derive(Deserialize, JsonSchema)]
struct Size {
    n: usize,
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

fn pure<P, O>(name: &'static str, run: impl Fn(P) -> Result<O, NodeError> + 'static) -> Operation
where
    P: serde::de::DeserializeOwned + JsonSchema,
    O: Serialize + JsonSchema,
{
    Operation::new(name, "Misbehaves", Effect::Pure, run)
}

fn raw(name: &'static str, output: fn(&str) -> String) -> Operation {
    let schemas = Schemas { params: || json!(true), output: || json!(true) };
    Operation::raw(name, "Misbehaves", Effect::Pure, schemas, move |params| {
        Ok(Outcome { output: output(params), ports: Vec::new() })
    })
}

/// Shows whether an instance was used before.
fn count(_: Nothing) -> Result<u64, NodeError> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    Ok(CALLS.fetch_add(1, Ordering::Relaxed) + 1)
}

fn spin(_: Nothing) -> Result<Value, NodeError> {
    let mut n = 0_u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

const CHUNK: usize = 1024 * 1024;

fn allocate(size: Size) -> Result<usize, NodeError> {
    let mut chunks = Vec::new();
    while chunks.len() * CHUNK < size.n {
        chunks.push(std::hint::black_box(vec![1_u8; CHUNK]));
    }
    Ok(chunks.len())
}

/// Asks for memory and goes on without it.
fn allocate_politely(size: Size) -> Result<bool, NodeError> {
    let mut bytes = Vec::<u8>::new();
    Ok(std::hint::black_box(&mut bytes).try_reserve_exact(size.n).is_ok())
}

fn ports(size: Size) -> Result<Routed<Value>, NodeError> {
    Ok(Routed { output: Value::Null, ports: (0..size.n).map(|n| format!("port-{n}")).collect() })
}

fn recurse(n: usize) -> usize {
    let frame = std::hint::black_box([n; 64]);
    if n == 0 { frame[0] } else { recurse(n - 1) + frame[63] }
}

fn panicking(_: Nothing) -> Result<Value, NodeError> {
    panic!("the deal has no amount")
}

#[derive(Deserialize, JsonSchema)]
struct Print {
    lines: usize,
    bytes: usize,
}

fn print(print: Print) -> Result<usize, NodeError> {
    let line = "x".repeat(print.bytes);
    for _ in 0..print.lines {
        if writeln!(std::io::stdout(), "{line}").is_err() {
            return Err(NodeError::permanent("stdout", "standard output is closed"));
        }
    }
    eprint!("and one without an end");
    Ok(print.lines)
}

fn logging(print: Print) -> Result<usize, NodeError> {
    for _ in 0..print.lines {
        log::info("x".repeat(print.bytes));
    }
    Ok(print.lines)
}

/// The time, before and after a nap of an hour.
fn clock(_: Nothing) -> Result<Value, NodeError> {
    let now = || {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis()
            as u64
    };
    let (before, started) = (now(), Instant::now());
    std::thread::sleep(Duration::from_secs(3600));
    Ok(
        json!({ "before": before, "after": now(), "slept_ms": started.elapsed().as_millis() as u64 }),
    )
}

fn random(_: Nothing) -> Result<Vec<u64>, NodeError> {
    Ok((0..4).map(|n: u32| RandomState::new().hash_one(n)).collect())
}

/// What can be seen of the machine.
fn outside(_: Nothing) -> Result<Value, NodeError> {
    Ok(json!({
        "file": std::fs::read_dir("/").is_ok(),
        "write": std::fs::write("escaped", "x").is_ok(),
        "variables": std::env::vars().count(),
        "arguments": std::env::args().count(),
        "stdin": std::io::read_to_string(std::io::stdin()).unwrap_or_default(),
    }))
}

fn fail(size: Size) -> Result<Value, NodeError> {
    Err(NodeError::not_found("deal-not-found", "x".repeat(size.n))
        .with_details(json!({ "id": "7", "text": "y".repeat(size.n) })))
}
