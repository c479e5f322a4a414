//! How many flushes a run costs: what the design promises is counted on the disk.

use anyhow::ensure;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tombolo_core::ports::store::{RunLog, WorkerId};
use tombolo_store::SqliteSettings;
use tombolo_tests::disk::DiskState;
use tombolo_tests::sink::{Sink, SinkOptions};
use tombolo_tests::{Host, HostOptions};

use crate::place::{Place, disk};
use crate::story::{Stage, Story};

/// Runs that are counted.
const RUNS: u64 = 12;

/// Flushes that belong to no run: a lease that is renewed, a log that is copied.
const BESIDES: u64 = 4;

fn flushes(before: DiskState, after: DiskState) -> u64 {
    after.file_flushes - before.file_flushes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_costs_a_flush_and_writes_that_wait_together_share_it() -> anyhow::Result<()> {
    const TOGETHER: u64 = 200;
    let place = Place::new(SqliteSettings::default())?;
    let store = place.open().await?;
    let worker = WorkerId("one".to_owned());
    // The first write after a start begins a new log.
    store.accept(vec![Story(0).accept(None)]).await?;

    let before = place.disk.look()?;
    for story in (1..=RUNS).map(Story) {
        store.accept(vec![story.accept(Some(&worker))]).await?;
        store.settle(story.settle(&story.first_lease(&worker), Stage::Started)).await?;
    }
    let after = place.disk.look()?;
    ensure!(flushes(before, after) == 2 * RUNS, "{} flushes", flushes(before, after));

    let waiting =
        (1_000..1_000 + TOGETHER).map(|number| store.accept(vec![Story(number).accept(None)]));
    try_join_all(waiting).await?;
    let shared = flushes(after, place.disk.look()?);
    ensure!(shared <= TOGETHER / 10, "{shared} flushes for {TOGETHER} writes at once");
    store.close().await;
    crate::tell(&format!("flushes: 1 a write, {shared} for {TOGETHER} writes at once"));
    Ok(())
}

/// A workflow that is started by the webhook of its name.
fn workflow(name: &str, nodes: Value) -> Value {
    let on = json!({"path": name, "verify": "none", "respond": "result"});
    json!({"name": name, "triggers": {"event": {"webhook": on}}, "nodes": nodes})
}

/// One run after the other.
async fn flushes_of(host: &Host, disk: &tombolo_tests::Disk, name: &str) -> anyhow::Result<u64> {
    let before = disk.look()?;
    for number in 0..RUNS {
        host.deliver(name, &json!({"id": number})).await?.expect(200)?;
    }
    Ok(flushes(before, disk.look()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_costs_a_flush_for_its_effects_and_one_for_itself() -> anyhow::Result<()> {
    let (disk, sink) = (disk()?, Sink::start(SinkOptions::default())?);
    let options = HostOptions::new().allow(&sink.origin()).data(disk.join("data"));
    let host = Host::start(options).await?;
    host.connection("sink", json!({"base_url": sink.origin()})).await?;
    let map = |from: &str| json!({"use": "data.map", "with": {"input": format!("${{ {from} }}"), "program": ".id += 1"}});
    let after = |mut node: Value, upstream: &str| {
        node["after"] = json!([upstream]);
        node
    };
    let post = json!({
        "use": "http.request", "connection": "sink", "after": ["a"],
        "with": {"method": "POST", "path": "/hit", "json": "${ .steps.a }"}
    });
    let mut keyed = post.clone();
    keyed["effect"] = "keyed".into();
    let pure = json!({
        "a": map(".trigger"), "b": after(map(".steps.a"), "a"), "c": after(map(".steps.b"), "b"),
    });
    host.apply(&workflow("pure", pure)).await?;
    host.apply(&workflow("keyed", json!({"a": map(".trigger"), "post": keyed}))).await?;
    host.apply(&workflow("unsafe", json!({"a": map(".trigger"), "post": post}))).await?;
    let twice = json!({"a": map(".trigger"), "post": post, "again": after(post.clone(), "post")});
    host.apply(&workflow("twice", twice)).await?;

    let mut told = Vec::new();
    for (name, expected) in [("pure", 1), ("keyed", 2), ("unsafe", 2), ("twice", 4)] {
        let found = flushes_of(&host, &disk, name).await?;
        let bounds = expected * RUNS..=expected * RUNS + BESIDES;
        ensure!(bounds.contains(&found), "{name}: {found} flushes for {RUNS} runs");
        told.push(format!("{name} {:.1}", found as f64 / RUNS as f64));
    }
    crate::tell(&format!("flushes of a run: {}", told.join(", ")));
    Ok(())
}
