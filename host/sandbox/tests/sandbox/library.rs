//! How a component comes back after a restart, and what happens when it does not.

use serde_json::json;
use tokio::task::JoinSet;
use tombolo_core::error::ErrorClass;
use tombolo_core::id::ContentHash;
use tombolo_core::ports::sandbox::Sandbox;

use crate::support::wat_plugin::WatPlugin;
use crate::support::{Call, Lab, component, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_fetched_and_compiled_once_however_many_ask() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::at(settings(), folder.path(), component("plugin_jq"));
    let plugin = lab.shelf.put(WatPlugin::default().build());
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let sandbox = lab.sandbox.clone();
        let call = Call::new(plugin, "run", json!({}));
        calls.spawn(async move { sandbox.invoke(call.invocation()).await });
    }
    while let Some(invoked) = calls.join_next().await {
        assert_eq!(invoked.unwrap().result.unwrap().output.text(), "null");
    }
    assert_eq!(lab.shelf.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_compiled_form_is_taken_from_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let evaluator = component("plugin_jq");
    let before = Lab::at(settings(), folder.path(), evaluator.clone());
    let plugin = before.install_bytes(WatPlugin::default().build()).await;
    drop(before);
    // This one has no source that knows the component.
    let after = Lab::at(settings(), folder.path(), evaluator);
    assert_eq!(after.output(Call::new(plugin, "run", json!({}))).await, json!(null));
    assert_eq!(after.shelf.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_cache_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let evaluator = component("plugin_jq");
    let bytes = WatPlugin::default().build();
    let before = Lab::at(settings(), folder.path(), evaluator.clone());
    let plugin = before.install_bytes(bytes.clone()).await;
    drop(before);
    let file = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "cwasm"))
        .unwrap();
    let mut code = std::fs::read(&file).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 1;
    std::fs::write(&file, code).unwrap();

    let after = Lab::at(settings(), folder.path(), evaluator);
    after.shelf.put(bytes);
    assert_eq!(after.output(Call::new(plugin, "run", json!({}))).await, json!(null));
    assert_eq!(after.shelf.asked(), 1, "it was compiled again from its bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_nobody_has_is_named() {
    let lab = Lab::new(settings());
    let nowhere = ContentHash::of(b"nowhere");
    let error = lab.error(Call::new(nowhere, "run", json!({}))).await;
    assert_eq!((error.code.as_str(), error.class), ("plugin-missing", ErrorClass::Permanent));
    assert!(error.message.contains(&nowhere.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_component_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::at(settings(), folder.path(), component("plugin_jq"));
    let bad = WatPlugin { descriptor: "{}".to_owned(), ..WatPlugin::default() };
    lab.sandbox.install(bad.build()).await.unwrap_err();
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, ["key"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn components_in_memory_are_bounded() {
    let mut settings = settings();
    settings.loaded_components = 2;
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::at(settings, folder.path(), component("plugin_jq"));
    let mut plugins = Vec::new();
    for n in 1..=3_u32 {
        // Each its own bytes.
        let plugin = WatPlugin { pages: 2 + n, ..WatPlugin::default() };
        plugins.push(lab.install_bytes(plugin.build()).await);
    }
    for file in std::fs::read_dir(folder.path()).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    let run = |plugin| lab.output(Call::new(plugin, "run", json!({})));
    assert_eq!((run(plugins[2]).await, run(plugins[1]).await), (json!(null), json!(null)));
    assert_eq!(lab.shelf.asked(), 0, "the two newest are in memory");
    assert_eq!(run(plugins[0]).await, json!(null));
    assert_eq!(lab.shelf.asked(), 1, "the oldest is not");
}
