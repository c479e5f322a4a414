//! Every way in which a plugin can take too much, and the name of what stops it.

use std::time::Duration;

use serde_json::json;
use tombolo_core::error::ErrorClass;

use crate::support::wat_plugin::WatPlugin;
use crate::support::{Call, Lab, settings};

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_loop_ends_at_the_timeout() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    let call = Call::new(abuse, "spin", json!({})).timeout(Duration::from_millis(100));
    let error = lab.error(call).await;
    assert_eq!((error.code.as_str(), error.class), ("step-timeout", ErrorClass::Transient));
    assert!(error.message.contains("100 ms"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_loop_ends_when_its_processor_time_is_used_up() {
    let mut settings = settings();
    settings.call.cpu_ms = 50;
    let lab = Lab::new(settings);
    let abuse = lab.install("guest_abuse").await;
    let error = lab.error(Call::new(abuse, "spin", json!({}))).await;
    assert_eq!((error.code.as_str(), error.class), ("cpu-limit", ErrorClass::Permanent));
    assert!(error.message.contains("call.cpu_ms"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_bomb_is_stopped_and_a_polite_guest_goes_on() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    let error = lab.error(Call::new(abuse, "allocate", json!({ "n": 200 * MIB }))).await;
    assert_eq!((error.code.as_str(), error.class), ("memory-limit", ErrorClass::Permanent));
    assert!(error.message.contains("67108864"), "{}", error.message);
    let got = lab.output(Call::new(abuse, "allocate-politely", json!({ "n": 200 * MIB }))).await;
    assert_eq!(got, json!(false));
    let within = lab.output(Call::new(abuse, "allocate", json!({ "n": 40 * MIB }))).await;
    assert_eq!(within, json!(40));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_memories_count_together() {
    let lab = Lab::new(settings());
    // Each of the three alone is within the limit of 64 MiB.
    let bomb = WatPlugin {
        fields: "(memory $b 1) (memory $c 1)".to_owned(),
        invoke: "(drop (memory.grow 0 (i32.const 400)))
                 (drop (memory.grow $b (i32.const 400)))
                 (if (i32.eq (memory.grow $c (i32.const 400)) (i32.const -1)) (then unreachable))"
            .to_owned(),
        ..WatPlugin::default()
    };
    let bomb = lab.install_bytes(bomb.build()).await;
    let error = lab.error(Call::new(bomb, "run", json!({}))).await;
    assert_eq!(error.code, "memory-limit", "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_bomb_is_stopped() {
    let lab = Lab::new(settings());
    let bomb = WatPlugin {
        fields: "(table $t 0 funcref)".to_owned(),
        invoke: "(loop $again
                   (br_if $again (i32.ne (i32.const -1)
                     (table.grow $t (ref.null func) (i32.const 1000)))))
                 unreachable"
            .to_owned(),
        ..WatPlugin::default()
    };
    let bomb = lab.install_bytes(bomb.build()).await;
    let error = lab.error(Call::new(bomb, "run", json!({}))).await;
    assert_eq!((error.code.as_str(), error.class), ("table-limit", ErrorClass::Permanent));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_bomb_is_stopped() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    let held = lab.output(Call::new(caller, "handles", json!({ "n": 1_000 }))).await;
    assert_eq!(held, json!(1_000));
    let error = lab.error(Call::new(caller, "handles", json!({ "n": 1_000_000 }))).await;
    assert_eq!((error.code.as_str(), error.class), ("handle-limit", ErrorClass::Permanent));
    assert!(error.message.contains("4096"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_of_the_guests_own_handles_is_stopped() {
    let lab = Lab::new(settings());
    let bomb = WatPlugin {
        world: "package test:plugin; interface hoard { resource thing; }
                world test { export hoard; export tombolo:node/node@1.0.0; }",
        imports: r#"(import "[export]test:plugin/hoard" "[resource-new]thing"
                      (func $new (param i32) (result i32)))"#
            .to_owned(),
        invoke: "(loop $again (drop (call $new (i32.const 0))) (br $again))".to_owned(),
        ..WatPlugin::default()
    };
    let bomb = lab.install_bytes(bomb.build()).await;
    let error = lab.error(Call::new(bomb, "run", json!({}))).await;
    assert_eq!(error.code, "handle-limit", "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_bomb_is_stopped() {
    let mut settings = settings();
    // A guest that makes JSON holds it more than once.
    settings.call.memory_bytes = 256 * MIB;
    let lab = Lab::new(settings);
    let abuse = lab.install("guest_abuse").await;
    let error = lab.error(Call::new(abuse, "output", json!({ "n": 20 * MIB }))).await;
    assert_eq!((error.code.as_str(), error.class), ("output-limit", ErrorClass::Permanent));
    let output = lab.output(Call::new(abuse, "output", json!({ "n": 15 * MIB }))).await;
    assert_eq!(output.as_str().map(str::len), Some(15 * MIB));
    // Beyond the limit by less than the slack that wasmtime is given.
    let error = lab.error(Call::new(abuse, "output", json!({ "n": 16 * MIB }))).await;
    assert_eq!(error.code, "output-limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_ports_are_too_many() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    let error = lab.error(Call::new(abuse, "ports", json!({ "n": 1_000 }))).await;
    assert_eq!(error.code, "output-limit");
    assert!(error.message.contains("call.ports"), "{}", error.message);
    let invoked = lab.run(Call::new(abuse, "ports", json!({ "n": 2 }))).await;
    assert_eq!(invoked.result.unwrap().ports, ["port-0", "port-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_string_to_the_host_is_stopped() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    let error = lab.error(Call::new(abuse, "log-once", json!({ "n": 20 * MIB }))).await;
    assert_eq!((error.code.as_str(), error.class), ("host-call-limit", ErrorClass::Permanent));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_deep_a_recursion_is_named() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    let error = lab.error(Call::new(abuse, "recurse", json!({ "n": 100_000_000 }))).await;
    // Rust's own stack lies in the guest's memory and may end first.
    assert!(["stack-overflow", "trap"].contains(&error.code.as_str()), "{error:?}");
    let endless = WatPlugin {
        fields: "(func $f (call $f))".to_owned(),
        invoke: "(call $f)".to_owned(),
        ..WatPlugin::default()
    };
    let endless = lab.install_bytes(endless.build()).await;
    let error = lab.error(Call::new(endless, "run", json!({}))).await;
    assert_eq!((error.code.as_str(), error.class), ("stack-overflow", ErrorClass::Permanent));
    let frames = error.details.unwrap()["backtrace"].as_array().map(Vec::len);
    assert!(frames.is_some_and(|frames| (1..=20).contains(&frames)), "{frames:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_trap_with_its_message() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    let invoked = lab.run(Call::new(abuse, "panic", json!({}))).await;
    let error = invoked.result.unwrap_err();
    assert_eq!((error.code.as_str(), error.class), ("trap", ErrorClass::Permanent));
    let details = error.details.unwrap();
    assert!(details["stderr"].to_string().contains("the deal has no amount"), "{details}");
    assert!(!details["backtrace"].as_array().unwrap().is_empty());
    assert!(invoked.logs.iter().any(|line| line.message.contains("the deal has no amount")));
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_is_not_an_answer() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    for status in [0, 1] {
        let error = lab.error(Call::new(abuse, "exit", json!({ "n": status }))).await;
        assert_eq!((error.code.as_str(), error.class), ("exit", ErrorClass::Permanent));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_is_not_strict_json_is_refused() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    for (operation, word) in [("not-json", "not JSON"), ("twice", "twice"), ("deep", "deeper")] {
        let error = lab.error(Call::new(abuse, operation, json!({}))).await;
        assert_eq!((error.code.as_str(), error.class), ("malformed-output", ErrorClass::Permanent));
        assert!(error.message.contains(word), "{}", error.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugins_own_error_passes_within_bounds() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    let error = lab.error(Call::new(abuse, "fail", json!({ "n": 10 }))).await;
    assert_eq!((error.code.as_str(), error.class), ("deal-not-found", ErrorClass::NotFound));
    assert_eq!(error.details.unwrap()["id"], "7");
    let error = lab.error(Call::new(abuse, "fail", json!({ "n": MIB }))).await;
    assert!(error.message.len() < 70_000, "{}", error.message.len());
    assert!(error.details.unwrap()["unreadable"].as_str().unwrap().len() < 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_logs_are_cut_and_the_step_succeeds() {
    let lab = Lab::new(settings());
    let abuse = lab.install("guest_abuse").await;
    let big = json!({ "lines": 100_000, "bytes": 100 });
    for operation in ["log", "print"] {
        let invoked = lab.run(Call::new(abuse, operation, big.clone())).await;
        assert_eq!(invoked.result.unwrap().output.value(), &json!(100_000));
        assert_eq!(invoked.logs.len(), 1_001);
        let bytes: usize = invoked.logs.iter().map(|line| line.message.len()).sum();
        assert!(bytes < 300_000, "{bytes}");
        assert!(invoked.logs[1_000].message.contains("more lines were dropped"));
    }
    let invoked = lab.run(Call::new(abuse, "print", json!({ "lines": 2, "bytes": 5 }))).await;
    let lines: Vec<_> =
        invoked.logs.iter().map(|line| (line.level.as_str(), line.message.as_str())).collect();
    assert_eq!(
        lines,
        [("stdout", "xxxxx"), ("stdout", "xxxxx"), ("stderr", "and one without an end")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_beyond_the_limit_is_named_too() {
    let mut settings = settings();
    settings.call.memory_bytes = MIB;
    let lab = Lab::new(settings);
    // 2 MiB from the start: fine for `describe`, too much for a call here.
    let big = WatPlugin { pages: 32, ..WatPlugin::default() };
    let big = lab.install_bytes(big.build()).await;
    let error = lab.error(Call::new(big, "run", json!({}))).await;
    assert_eq!(error.code, "memory-limit", "{}", error.message);
}
