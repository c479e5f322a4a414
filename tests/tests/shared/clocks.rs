//! Workers whose machines have a wrong clock: leases are counted by the clock of the database.

use std::path::Path;

use jiff::Timestamp;

use crate::cluster::{Cluster, Size};

/// Where the library is that shows another time to a process.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// Of one worker behind, of the other before.
const WRONG: [&str; 2] = ["-600s", "+600s"];

#[tokio::test(flavor = "multi_thread")]
async fn workers_with_clocks_that_are_wrong_by_minutes_take_nothing_from_each_other()
-> anyhow::Result<()> {
    anyhow::ensure!(Path::new(LIBRARY).exists(), "{LIBRARY} is missing: apt-get install faketime");
    let size = Size { workers: WRONG.len() };
    let cluster = Cluster::start_with(size, |number, options| {
        options
            .variable("LD_PRELOAD", LIBRARY)
            .variable("FAKETIME", WRONG[number])
            .variable("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    })
    .await?;
    cluster.load.send(&cluster.front, 0..200).await?;
    let counts = cluster.check(Timestamp::now()).await?;
    // Taken away, an unsafe call would be unknown.
    anyhow::ensure!(counts.contains(", 0 runs unknown"), "{counts}");
    crate::tell(&format!("shared: clocks wrong by {WRONG:?}, {counts}"));
    Ok(())
}
