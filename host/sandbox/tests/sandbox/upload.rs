//! What is refused at upload, and in which words.

use bytes::Bytes;
use serde_json::{Value, json};
use tombolo_core::effect::World;
use tombolo_core::ports::sandbox::{InstallError, Sandbox};

use crate::support::wat_plugin::{WatPlugin, descriptor};
use crate::support::{Lab, component, settings};

async fn refused(bytes: impl Into<Bytes>) -> InstallError {
    Lab::new(settings()).sandbox.install(bytes.into()).await.expect_err("a refusal")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_plugin_is_described() {
    let lab = Lab::new(settings());
    let bytes = component("guest_caller");
    let installed = lab.sandbox.install(bytes.clone()).await.unwrap();
    assert_eq!(installed.hash, tombolo_core::id::ContentHash::of(&bytes));
    assert_eq!(installed.descriptor.name, "caller");
    assert_eq!(installed.descriptor.world, World::Connector);
    assert!(installed.imports.iter().any(|name| name.starts_with("wasi:http/outgoing-handler@")));
    assert_eq!(lab.sandbox.install(bytes).await.unwrap(), installed, "twice is the same as once");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugins_of_the_house_are_accepted() {
    let lab = Lab::new(settings());
    for name in ["plugin_jq", "plugin_switch"] {
        let installed = lab.sandbox.install(component(name)).await.unwrap();
        assert_eq!(installed.descriptor.world, World::Transform, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_mebibytes_are_too_many() {
    let error = refused(vec![0; 100 * 1024 * 1024]).await;
    assert_eq!(error, InstallError::TooLarge { size: 104_857_600, limit: 20_971_520 });
    assert!(error.to_string().contains("max_component_bytes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_module_is_named_as_one() {
    let error = refused(wat::parse_str("(module)").unwrap()).await;
    assert_eq!(error, InstallError::CoreModule);
    assert!(error.to_string().contains("wasm32-wasip2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_off_or_foreign_file_is_malformed() {
    let whole = component("guest_abuse");
    for length in [0, 3, 6, 8, 100, whole.len() / 2, whole.len() - 1] {
        let error = refused(whole.slice(..length)).await;
        // A component's bare header is a whole, empty component.
        let expected = if length == 8 { "not-a-plugin" } else { "malformed-component" };
        assert_eq!(error.code(), expected, "{length} bytes: {error}");
    }
    assert_eq!(refused("#!/bin/sh").await.code(), "malformed-component");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_is_no_plugin_is_told_what_it_exports() {
    let bytes = wat::parse_str(
        r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
             (func $f (canon lift (core func $i "f"))) (instance $x (export "f" (func $f)))
             (export "wasi:cli/run@0.2.6" (instance $x)))"#,
    );
    let error = refused(bytes.unwrap()).await;
    let InstallError::NotAPlugin { expected, found } = &error else { panic!("{error}") };
    assert_eq!(
        (expected.as_str(), found.as_str()),
        ("tombolo:node/node@1.0.0", "`wasi:cli/run@0.2.6`")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_contract_is_refused_with_both_versions() {
    for version in ["1.1.0", "2.0.0"] {
        let bytes = wat::parse_str(format!(
            r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
                 (func $f (canon lift (core func $i "f"))) (instance $x (export "f" (func $f)))
                 (export "tombolo:node/node@{version}" (instance $x)))"#
        ));
        let error = refused(bytes.unwrap()).await;
        let InstallError::NewerContract { found, supported } = &error else { panic!("{error}") };
        assert_eq!((found.as_str(), supported.as_str()), (&version[..3], "1.0"));
    }
}

/// A plugin that imports one function.
fn importing(world: &'static str, interface: &str, function: &str, ty: &str) -> Bytes {
    WatPlugin {
        world,
        imports: format!(r#"(import "{interface}" "{function}" (func {ty}))"#),
        ..WatPlugin::default()
    }
    .build()
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_outside_the_world_are_refused_by_name() {
    let http = importing(
        "package test:plugin; world test { import wasi:http/outgoing-handler@0.2.12; export tombolo:node/node@1.0.0; }",
        "wasi:http/outgoing-handler@0.2.12",
        "handle",
        "(param i32 i32 i32 i32)",
    );
    let sockets = importing(
        "package test:plugin; world test { import wasi:sockets/instance-network@0.2.12; export tombolo:node/node@1.0.0; }",
        "wasi:sockets/instance-network@0.2.12",
        "instance-network",
        "(result i32)",
    );
    let model = importing(
        "package test:plugin; world test { import tombolo:node/llm@1.0.0; export tombolo:node/node@1.0.0; }",
        "tombolo:node/llm@1.0.0",
        "complete",
        "(param i32 i32 i32)",
    );
    let context = importing(
        "package test:plugin; world test { import tombolo:node/context@1.0.0; export tombolo:node/node@1.0.0; }",
        "tombolo:node/context@1.0.0",
        "attempt",
        "(result i32)",
    );
    let stranger = importing(
        "package test:plugin; interface kernel { panic: func(); } world test { import kernel; export tombolo:node/node@1.0.0; }",
        "test:plugin/kernel",
        "panic",
        "",
    );
    let cases = [
        (http, "wasi:http/", "transform", "compile for that world"),
        (sockets, "wasi:sockets/", "connector", "sockets are never available"),
        (model, "tombolo:node/llm@1.0.0", "connector", "no language model configured"),
        (context, "tombolo:node/context@1.0.0", "transform", "compile for world router"),
        (stranger, "test:plugin/kernel", "connector", "no world of this host"),
    ];
    for (bytes, name, in_world, words) in cases {
        let error = refused(bytes).await;
        let InstallError::ForbiddenImport { import, world, hint } = &error else {
            panic!("{name}: {error}")
        };
        assert!(import.starts_with(name), "{import}");
        assert_eq!(world, in_world, "{name}");
        assert!(hint.contains(words), "{hint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_has_to_poll() {
    let mut source = descriptor();
    source["world"] = json!("source");
    let plugin = WatPlugin { descriptor: source.to_string(), ..WatPlugin::default() };
    let error = refused(plugin.build()).await;
    assert!(
        matches!(&error, InstallError::NotAPlugin { expected, .. } if expected.contains("poller")),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_descriptor_is_checked_to_its_schemas() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 4] = [
        ("/name", |d| d["name"] = json!("No Name")),
        ("/operations/0/effect", |d| d["operations"][0]["effect"] = json!("unsafe")),
        ("/operations/0/params/minimum", |d| {
            d["operations"][0]["params"] = json!({"minimum": "1"})
        }),
        ("/operations", |d| d["operations"] = json!([])),
    ];
    for (place, change) in cases {
        let mut changed = descriptor();
        change(&mut changed);
        let plugin = WatPlugin { descriptor: changed.to_string(), ..WatPlugin::default() };
        let error = refused(plugin.build()).await;
        assert!(
            matches!(&error, InstallError::BadDescriptor { pointer, .. } if pointer == place),
            "{place}: {error}"
        );
    }
    let plugin = WatPlugin { descriptor: "{".to_owned(), ..WatPlugin::default() };
    assert_eq!(refused(plugin.build()).await.code(), "bad-descriptor");
    let plugin = WatPlugin { descriptor: "\u{fffd}".repeat(200), ..WatPlugin::default() };
    assert_eq!(refused(plugin.build()).await.code(), "bad-descriptor");
}

#[tokio::test(flavor = "multi_thread")]
async fn describe_runs_under_tight_limits() {
    let cases = [
        (
            "step-timeout|cpu-limit",
            WatPlugin { describe: "(loop $l (br $l))".to_owned(), ..WatPlugin::default() },
        ),
        ("trap", WatPlugin { describe: "unreachable".to_owned(), ..WatPlugin::default() }),
        ("memory-limit", WatPlugin { pages: 16 * 33, ..WatPlugin::default() }),
        (
            "output-limit",
            WatPlugin {
                pages: 20,
                describe: "(i32.store (i32.const 16) (i32.const 0))
                           (i32.store (i32.const 20) (i32.const 1200000))
                           (return (i32.const 16))"
                    .to_owned(),
                ..WatPlugin::default()
            },
        ),
        (
            "step-timeout|cpu-limit",
            WatPlugin {
                fields: "(func $start (loop $l (br $l))) (start $start)".to_owned(),
                ..WatPlugin::default()
            },
        ),
    ];
    for (codes, plugin) in cases {
        let error = refused(plugin.build()).await;
        let InstallError::DescribeFailed { reason } = &error else { panic!("{codes}: {error}") };
        assert!(codes.split('|').any(|code| reason.starts_with(code)), "{codes}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_memories_than_a_slot_has_are_refused() {
    let plugin = WatPlugin {
        fields: "(memory 1)(memory 1)(memory 1)(memory 1)(memory 1)".to_owned(),
        ..WatPlugin::default()
    };
    let error = refused(plugin.build()).await;
    assert_eq!(error.code(), "compile-failed", "{error}");
    assert!(error.to_string().contains("memories"), "{error}");
}
