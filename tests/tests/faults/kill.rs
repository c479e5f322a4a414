//! `kill -9` of the real binary at random points under load, again and again. What is counted is
//! counted at the sinks, which survive.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::server::Server;

/// Cycles in CI.
const CYCLES: u64 = 20;

/// Events taken between two kills, at most.
const MAX_EVENTS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_under_load_lose_nothing_and_double_nothing() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let cycles = CYCLES * crate::times();
    let mut rng = StdRng::seed_from_u64(crate::seeds().start);
    let steps: Vec<usize> = (0..cycles).map(|_| rng.random_range(1..=MAX_EVENTS)).collect();
    let all: usize = steps.iter().sum::<usize>() + MAX_EVENTS;
    let killing = async {
        let mut wanted = 0;
        for step in steps {
            wanted += step;
            server.load.wait_for_taken(wanted).await?;
            server.host.kill().await?;
            server.host.restart().await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(server.load.send(&server.host, 0..all), killing)?;
    let counts = server.load.check(&server.host).await?;
    crate::tell(&format!("server: {cycles} kills under load, {counts}, doubled=0"));
    Ok(())
}
