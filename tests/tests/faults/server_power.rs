//! The real binary under load when the power goes: the process is killed, and of what it wrote and
//! did not flush only a part is left.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tombolo_tests::disk::Leaves;

use crate::server::Server;

const CUTS: u64 = 4;

/// Events taken between two cuts, at least.
const EVENTS: usize = 40;

/// Steps of the disk before a cut, at most: fewer than so many events take.
const MAX_STEPS: u64 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn every_webhook_that_was_taken_is_run_whatever_the_power_does() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let cuts = CUTS * crate::times();
    let all = EVENTS * (cuts as usize + 1);
    let cutting = async {
        for seed in 0..cuts {
            let mut rng = StdRng::seed_from_u64(seed);
            // In the middle of the work.
            server.load.wait_for_taken(EVENTS * (seed as usize + 1)).await?;
            server.disk.cut_after(rng.random_range(0..MAX_STEPS), Leaves::Any { seed })?;
            server.wait_for_cut().await?;
            server.host.kill().await?;
            server.disk.remount()?;
            server.host.restart().await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(server.load.send(&server.host, 0..all), cutting)?;
    let counts = server.load.check(&server.host).await?;
    crate::tell(&format!("server: {cuts} power cuts under load, {counts}"));
    Ok(())
}
