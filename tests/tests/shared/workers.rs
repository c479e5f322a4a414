//! Workers that die, freeze, and are cut off from the database.

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tombolo_tests::proxy::Way;

use crate::cluster::{Cluster, LEASE, Size};

/// Events taken between two faults, at most.
const MAX_EVENTS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_four_is_killed_again_and_again() -> anyhow::Result<()> {
    const KILLS: u64 = 12;
    let kills = KILLS * crate::times();
    let cluster = Cluster::start(Size { workers: 4 }).await?;
    let mut rng = StdRng::seed_from_u64(kills);
    let steps: Vec<usize> = (0..kills).map(|_| rng.random_range(1..=MAX_EVENTS)).collect();
    let all: usize = steps.iter().sum::<usize>() + MAX_EVENTS;
    let killing = async {
        let mut wanted = 0;
        for step in steps {
            wanted += step;
            cluster.load.wait_for_taken(wanted).await?;
            let worker = rng.random_range(0..cluster.workers.len());
            cluster.workers[worker].host.restart().await?;
        }
        anyhow::Ok(Timestamp::now())
    };
    let ((), last) = tokio::try_join!(cluster.load.send(&cluster.front, 0..all), killing)?;
    let counts = cluster.check(last).await?;
    crate::tell(&format!("shared: {kills} kills of 4 workers, {counts}"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_freezes_past_its_leases_writes_nothing_when_it_wakes() -> anyhow::Result<()>
{
    let cluster = Cluster::start(Size { workers: 2 }).await?;
    let times = 2 * crate::times() as usize;
    let freezing = async {
        for time in 1..=times {
            cluster.load.wait_for_taken(time * MAX_EVENTS).await?;
            let frozen = &cluster.workers[time % 2].host;
            frozen.freeze().await?;
            // Not to wait for something to happen: that it stays away so long is the fault.
            tokio::time::sleep(LEASE + LEASE / 2).await;
            frozen.thaw().await?;
        }
        anyhow::Ok(Timestamp::now())
    };
    let events = 0..(times + 1) * MAX_EVENTS;
    let ((), last) = tokio::try_join!(cluster.load.send(&cluster.front, events), freezing)?;
    let counts = cluster.check(last).await?;
    crate::tell(&format!("shared: {times} workers frozen past their leases, {counts}"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_cut_off_from_the_database_stops_its_guests() -> anyhow::Result<()> {
    let cluster = Cluster::start(Size { workers: 2 }).await?;
    let times = 2 * crate::times() as usize;
    let cutting = async {
        for time in 1..=times {
            cluster.load.wait_for_taken(time * MAX_EVENTS).await?;
            let way = &cluster.workers[time % 2].way;
            way.set(Way::Lost);
            tokio::time::sleep(LEASE * 2).await;
            way.set(Way::Open);
        }
        anyhow::Ok(Timestamp::now())
    };
    let events = 0..(times + 1) * MAX_EVENTS;
    let ((), last) = tokio::try_join!(cluster.load.send(&cluster.front, events), cutting)?;
    let counts = cluster.check(last).await?;
    crate::tell(&format!("shared: {times} partitions past the lease, {counts}"));
    Ok(())
}
