//! Components that are no good plugin: what each is told, and that the host serves on.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tombolo_tests::host::plugin;
use tombolo_tests::{Host, HostOptions};

/// A component that exports an empty instance under this name, with these lines before.
fn exporting(name: &str, before: &str) -> anyhow::Result<Vec<u8>> {
    let text = format!(
        r#"(component {before}
             (core module $m (func (export "f"))) (core instance $i (instantiate $m))
             (func $f (canon lift (core func $i "f"))) (instance $x (export "f" (func $f)))
             (export "{name}" (instance $x)))"#
    );
    wat::parse_str(text).context("the component's text")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plugin_is_refused_by_name() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new().first_start()).await?;
    let whole = std::fs::read(plugin("switch")?)?;
    let sockets = r#"(import "wasi:sockets/instance-network@0.2.6" (instance))"#;
    let node = "tombolo:node/node@1.0.0";
    let refused: [(&str, &str, Vec<u8>, &str); 10] = [
        ("a core module", "core-module", wat::parse_str("(module)")?, "wasm32-wasip2"),
        ("a command", "not-a-plugin", exporting("wasi:cli/run@0.2.6", "")?, "wasi:cli/run@0.2.6"),
        ("an empty component", "not-a-plugin", wat::parse_str("(component)")?, node),
        ("a newer minor", "newer-contract", exporting("tombolo:node/node@1.1.0", "")?, "1.1"),
        ("a newer major", "newer-contract", exporting("tombolo:node/node@2.0.0", "")?, "2.0"),
        ("sockets", "forbidden-import", exporting(node, sockets)?, "wasi:sockets/instance-network"),
        ("half a plugin", "malformed-component", whole[..whole.len() / 2].to_vec(), ""),
        ("all but a byte", "malformed-component", whole[..whole.len() - 1].to_vec(), ""),
        ("a script", "malformed-component", b"#!/bin/sh\n".to_vec(), "\\0asm"),
        ("nothing", "malformed-component", Vec::new(), ""),
    ];
    for (what, code, component, words) in refused {
        let problem = host.upload(component).await?.problem(422, code).context(what)?;
        let detail = problem["detail"].as_str().unwrap_or_default();
        ensure!(detail.contains(words), "{what}: `{words}` is not named: {detail}");
    }
    let problem = host.upload(exporting(node, sockets)?).await?.problem(422, "forbidden-import")?;
    ensure!(
        problem["suggestion"].as_str().is_some_and(|text| text.contains("sockets")),
        "{problem}"
    );
    ensure!(host.get("/plugins").await?.expect(200)?["items"] == json!([]));

    let text = host.request("POST", "/api/v1/plugins").header("content-type", "text/plain");
    host.answer(text.body("x")).await?.problem(415, "unsupported-media-type")?;

    // A good one is taken, once.
    let added = host.upload(whole.clone()).await?.expect(201)?;
    ensure!(added["name"] == "switch" && added["world"] == "transform", "{added}");
    ensure!(host.upload(whole.clone()).await?.expect(200)?["status"] == "same");
    // Other bytes under the same name and version are another plugin: a custom section is enough.
    let other = [whole.as_slice(), &[0, 5, 4], b"mark"].concat();
    let taken = host.upload(other).await?.problem(409, "version-taken")?;
    ensure!(taken["by"] == added["hash"], "{taken}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_mebibytes_are_too_large_and_others_are_served_meanwhile() -> anyhow::Result<()> {
    const SIZE: usize = 100 * 1024 * 1024;
    let host = Host::start(HostOptions::new()).await?;
    host.apply(&json!({"name": "echo", "nodes": {"a": {"use": "set"}}})).await?;
    let uploading = host.upload(vec![0_u8; SIZE]);
    let running = async {
        for n in 0..20 {
            host.run_to_end("echo", &json!({ "n": n })).await?.is("succeeded", &[])?;
        }
        anyhow::Ok(())
    };
    let (uploaded, ran) = tokio::join!(uploading, running);
    ran?;
    let problem = uploaded?.problem(413, "component-too-large")?;
    ensure!(problem["limit_bytes"].as_u64().is_some_and(|limit| limit < SIZE as u64), "{problem}");
    let peak = host.peak_bytes().await?;
    ensure!(peak < 512 * 1024 * 1024, "it took {peak} bytes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugins_of_the_house_are_described_with_their_schemas() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new()).await?;
    let plugins = host.get("/plugins").await?.expect(200)?;
    for plugin in plugins["items"].as_array().context("no plugins")? {
        let name = plugin["name"].as_str().context("no name")?;
        let detail = host.get(&format!("/plugins/{name}")).await?.expect(200)?;
        let operations = detail["items"][0]["descriptor"]["operations"].as_array();
        for operation in operations.context("no operations")? {
            for schema in ["params", "output"] {
                let schema: &Value = &operation[schema];
                jsonschema::draft202012::new(schema)
                    .map_err(|error| anyhow::anyhow!("{name}.{}: {error}", operation["name"]))?;
            }
            let summary = operation["summary"].as_str().unwrap_or_default();
            ensure!(!summary.is_empty(), "{name}.{} has no summary", operation["name"]);
        }
    }
    Ok(())
}
