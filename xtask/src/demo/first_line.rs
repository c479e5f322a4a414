//! Waiting for a program to say on its standard output that it is there.

use std::io::{BufRead, BufReader};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use crate::keep::Kept;

/// How long a program may take until it says so.
const LIMIT: Duration = Duration::from_secs(60);

/// The first line that fits. What the program writes afterwards is read and dropped, so that it
/// never waits for us.
pub fn first_line(process: &mut Kept, fits: fn(&str) -> bool) -> anyhow::Result<String> {
    let stdout = process.take_stdout().context("its output is not ours")?;
    let (found, is_found) = sync_channel(1);
    std::thread::spawn(move || {
        let mut found = Some(found);
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if fits(&line)
                && let Some(found) = found.take()
            {
                // Nobody waits any more if the limit was over.
                let _ = found.send(line);
            }
        }
    });
    let asked = Instant::now();
    is_found.recv_timeout(LIMIT).map_err(|_| match asked.elapsed() < LIMIT {
        true => anyhow!("it ended before it was there"),
        false => anyhow!("it did not say that it is there within {} s", LIMIT.as_secs()),
    })
}
