//! The first start, of which nothing was there before: a power cut in it leaves a folder that the
//! next start takes, and what was acknowledged before the cut is there.

use std::fs;

use anyhow::{Context, ensure};
use serde_json::json;
use tombolo_core::ports::store::{RunLog, WorkerId};
use tombolo_store::{SqliteSettings, SqliteStore};
use tombolo_tests::disk::Leaves;
use tombolo_tests::{Host, HostOptions};
use tombolo_vault::{MasterKey, OsRandomness};

use crate::place::{self, disk};
use crate::story::{Stage, Story};

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_just_made_is_as_durable_as_what_is_in_it() -> anyhow::Result<()> {
    let disk = disk()?;
    fs::create_dir_all(disk.join("new/data"))?;
    let file = disk.join("new/data/tombolo.db");
    let store = SqliteStore::open(&file, SqliteSettings::default()).await?;
    place::prepare(&store).await?;
    store.accept(vec![Story(0).accept(Some(&WorkerId("one".to_owned())))]).await?;
    disk.cut(Leaves::Flushed)?;
    store.close().await;
    disk.remount()?;
    ensure!(file.exists(), "the folder is lost, and all that was acknowledged with it");
    let store = SqliteStore::open(&file, SqliteSettings::default()).await?;
    ensure!(Story(0).found(&store).await? == Stage::Accepted, "the run is lost");
    store.close().await;
    Ok(())
}

#[test]
fn a_master_key_is_there_whole_or_not_at_all() -> anyhow::Result<()> {
    const SEEDS: u64 = 6;
    let mut made = 0;
    // Every step of the disk until one key is made, and what may be left of each.
    for (steps, seed) in (0..12).flat_map(|steps| (0..SEEDS).map(move |seed| (steps, seed))) {
        let disk = disk()?;
        let file = disk.join("vault.key");
        disk.cut_after(steps, Leaves::Any { seed })?;
        let created = MasterKey::create(&file, &OsRandomness);
        disk.cut(Leaves::Any { seed })?;
        disk.remount()?;
        let at = || format!("cut after {steps} steps, seed {seed}");
        let left =
            if file.exists() { Some(MasterKey::load(&file).with_context(at)?) } else { None };
        if let Ok(created) = created {
            let left = left.with_context(|| format!("{}: the key is lost", at()))?;
            ensure!(left.id() == created.id(), "another key");
            made += 1;
        }
    }
    ensure!(made > 0, "no key was ever made");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_first_start_acknowledges_is_there_after_a_cut() -> anyhow::Result<()> {
    let disk = disk()?;
    // The disk's own folder: it was there before.
    let options = HostOptions::new().first_start().data(disk.path());
    let host = Host::start(options).await?;
    host.signing("app", "a secret").await?;
    let keep = json!({"use": "set", "with": {"id": "${ .trigger.id }"}});
    let on = json!({"path": "first", "verify": "none"});
    host.apply(&json!({
        "name": "first", "triggers": {"event": {"webhook": on}}, "nodes": {"keep": keep},
    }))
    .await?;
    let taken = host.deliver("first", &json!({"id": 1})).await?.expect(202)?;
    disk.cut(Leaves::Flushed)?;
    host.kill().await?;
    disk.remount()?;
    // Opens the secret with the key that was made, and takes the token that was made.
    host.restart().await?;
    let run = taken["runs"][0].as_str().context("no run was told")?;
    host.ended(run).await?.is("succeeded", &[("keep", "succeeded")])
}
