//! Many processes on one PostgreSQL database, and what befalls them: workers that die, freeze, are
//! cut off or have a wrong clock; a server that crashes, is full of connections, or keeps rows locked.
//! What is counted is counted at the sinks, which survive.
//!
//! `TOMBOLO_FAULT_CYCLES` makes the rounds longer, as for the faults of one process.

mod clocks;
mod cluster;
mod database;
mod serving;
mod workers;

use std::io::Write;

/// Says it even if the test is fine, when what is printed is not shown.
fn tell(text: &str) {
    // Nobody reads a closed output.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// How many times the rounds of CI are done.
fn times() -> u64 {
    const CYCLES_OF_CI: u64 = 60;
    let asked = std::env::var("TOMBOLO_FAULT_CYCLES").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(CYCLES_OF_CI).div_ceil(CYCLES_OF_CI)
}
