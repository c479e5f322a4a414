//! A server that crashes, is replaced by its standby, has no connection left, and keeps rows locked.

use std::time::Duration;

use anyhow::ensure;
use jiff::Timestamp;
use serde_json::json;
use sqlx::Executor;
use tombolo_tests::host::poll;

use crate::cluster::{Cluster, LEASE, Size, address};

/// Events between two faults.
const EVENTS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn the_server_crashes_under_load_and_comes_back() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Size { workers: 2 }).await?;
    let times = 3 * crate::times() as usize;
    let Cluster { server, load, front, .. } = &mut cluster;
    let crashing = async {
        for time in 1..=times {
            load.wait_for_taken(time * EVENTS).await?;
            // Waits for the server, and lets the senders go on meanwhile.
            tokio::task::block_in_place(|| server.crash_and_restart())?;
        }
        anyhow::Ok(Timestamp::now())
    };
    let events = 0..(times + 1) * EVENTS;
    let ((), last) = tokio::try_join!(load.send(front, events), crashing)?;
    let counts = cluster.check(last).await?;
    crate::tell(&format!("shared: {times} crashes of the server, {counts}"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_while_the_server_is_away_is_told_so_and_a_stop_ends() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Size { workers: 1 }).await?;
    cluster.load.send(&cluster.front, 0..EVENTS).await?;
    tokio::task::block_in_place(|| cluster.server.crash())?;
    let (event, input) = (json!({"id": EVENTS}), json!({}));
    let (event, start, read) = tokio::join!(
        cluster.front.deliver("load", &event),
        cluster.front.post("/workflows/load/runs", &input),
        cluster.front.get("/runs"),
    );
    for answer in [event?, start?, read?] {
        answer.problem(503, "store-unreachable")?;
        ensure!(!answer.header("retry-after").is_empty(), "when to come back");
    }
    cluster.front.stop().await?;
    cluster.workers[0].host.stop().await?;
    tokio::task::block_in_place(|| cluster.server.restart())?;
    cluster.front.restart().await?;
    cluster.workers[0].host.restart().await?;
    let counts = cluster.check(Timestamp::now()).await?;
    crate::tell(&format!("shared: two stops without the server, {counts}"));
    Ok(())
}

/// What was acknowledged is on the standby, because the server waits for it: see the documents on
/// deploying.
#[tokio::test(flavor = "multi_thread")]
async fn the_standby_takes_over_under_load() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Size { workers: 2 }).await?;
    let standby = tokio::task::block_in_place(|| cluster.server.start_standby())?;
    let mut admin = cluster.database.admin().await?;
    admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await?;
    admin.execute("SELECT pg_reload_conf()").await?;
    poll("the server to wait for its standby", async || {
        let state: Option<String> =
            sqlx::query_scalar("SELECT sync_state FROM pg_stat_replication")
                .fetch_optional(&mut admin)
                .await?;
        Ok((state.as_deref() == Some("sync")).then_some(()))
    })
    .await?;
    let Cluster { server, load, front, way, workers, .. } = &mut cluster;
    let failing_over = async {
        load.wait_for_taken(EVENTS).await?;
        tokio::task::block_in_place(|| server.crash())?;
        tokio::task::block_in_place(|| standby.promote())?;
        for way in workers.iter().map(|worker| &worker.way).chain([&*way]) {
            way.lead_to(address(&standby));
        }
        anyhow::Ok(Timestamp::now())
    };
    let events = 0..4 * EVENTS;
    let ((), last) = tokio::try_join!(load.send(front, events), failing_over)?;
    cluster.database.moved_to(&standby.admin_url());
    let counts = cluster.check(last).await?;
    crate::tell(&format!("shared: the standby took over, {counts}"));
    // Whatever is connected goes before the server that it is connected to.
    drop(cluster);
    drop(standby);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_connections_is_survived() -> anyhow::Result<()> {
    let cluster = Cluster::start(Size { workers: 2 }).await?;
    let storm = async {
        cluster.load.wait_for_taken(EVENTS).await?;
        let mut held = Vec::new();
        // As many as the server has left for others.
        while let Ok(connection) = cluster.database.connect().await {
            held.push(connection);
        }
        let count = held.len();
        // Nobody new gets in: a worker that starts now has to wait.
        cluster.workers[0].host.kill().await?;
        drop(held);
        cluster.workers[0].host.restart().await?;
        anyhow::Ok((Timestamp::now(), count))
    };
    let events = 0..3 * EVENTS;
    let ((), (last, count)) = tokio::try_join!(cluster.load.send(&cluster.front, events), storm)?;
    let counts = cluster.check(last).await?;
    crate::tell(&format!("shared: a storm of {count} connections, {counts}"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_sleeps_in_a_transaction_holds_only_what_it_holds() -> anyhow::Result<()> {
    let cluster = Cluster::start(Size { workers: 2 }).await?;
    let sleeping = async {
        cluster.load.wait_for_taken(EVENTS).await?;
        let mut sleeper = cluster.database.look().await?;
        // An old snapshot keeps dead rows, and the rows of the queue that are there are locked.
        sleeper.execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
        sleeper.execute("SELECT count(*) FROM queue").await?;
        sleeper.execute("SELECT * FROM queue FOR UPDATE SKIP LOCKED").await?;
        tokio::time::sleep(LEASE + Duration::from_secs(3)).await;
        sleeper.execute("ROLLBACK").await?;
        anyhow::Ok(Timestamp::now())
    };
    let events = 0..4 * EVENTS;
    let ((), last) = tokio::try_join!(cluster.load.send(&cluster.front, events), sleeping)?;
    let counts = cluster.check(last).await?;
    crate::tell(&format!("shared: a transaction that sleeps, {counts}"));
    Ok(())
}
