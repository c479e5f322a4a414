//! Power cuts, full disks and flushes that fail, on a disk of our own (`tests/src/disk`) under the
//! store and under the real binary. What was acknowledged is counted, and none of it may be lost.
//!
//! Needs `/dev/fuse` and the right to mount. `TOMBOLO_FAULT_CYCLES` says how often the power is cut,
//! `TOMBOLO_FAULT_SEED` which seed is the first.

mod count;
mod first;
mod flush;
mod full;
mod kill;
mod ledger;
mod load;
mod place;
mod power;
mod server;
mod server_full;
mod server_power;
mod story;

use std::io::Write;

/// Power cuts of the store where nothing else is said: what CI has time for.
const CYCLES: u64 = 60;

/// The seeds of the cuts.
fn seeds() -> std::ops::Range<u64> {
    let first = number("TOMBOLO_FAULT_SEED").unwrap_or(0);
    first..first + number("TOMBOLO_FAULT_CYCLES").unwrap_or(CYCLES)
}

/// How many times the rounds of CI are done.
fn times() -> u64 {
    number("TOMBOLO_FAULT_CYCLES").unwrap_or(CYCLES).div_ceil(CYCLES)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: `{text}`")))
}

/// Says it even if the test is fine, when what is printed is not shown.
fn tell(text: &str) {
    // Nobody reads a closed output.
    let _ = writeln!(std::io::stdout(), "{text}");
}
