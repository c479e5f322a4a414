//! The real binary under load when its disk is full: it refuses with grace, and goes on when there is
//! space, without a restart.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;

use crate::server::Server;

const TIMES: usize = 3;

/// Events taken between two full disks, at least.
const EVENTS: usize = 40;

const ROOM_BYTES: u64 = 40_000;

/// Refusals that are looked at each time.
const REFUSALS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_disk_is_full_asks_to_send_again_and_lives_on() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let enough = AtomicBool::new(false);
    let filling = async {
        for time in 1..=TIMES {
            server.load.wait_for_taken(EVENTS * time).await?;
            let used = server.disk.look()?.used_bytes;
            server.disk.space(Some(used + ROOM_BYTES))?;
            server.load.wait_for_refusal(server.load.refused().len() + REFUSALS).await?;
            // The old ones can still be read.
            ensure!(!server.host.runs("limit=1").await?.is_empty(), "nothing can be read");
            server.disk.space(None)?;
        }
        enough.store(true, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let events = (0..).take_while(|_| !enough.load(Ordering::Relaxed));
    tokio::try_join!(server.load.send(&server.host, events), filling)?;
    for refused in server.load.refused() {
        refused.problem(503, "disk-full")?;
        ensure!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    }
    // The process that started is the one that stops.
    let counts = server.load.check(&server.host).await?;
    server.host.stop().await?;
    crate::tell(&format!(
        "server: {TIMES} full disks under load, {} refusals, {counts}",
        server.load.refused().len()
    ));
    Ok(())
}
