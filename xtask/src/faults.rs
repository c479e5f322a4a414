//! `cargo xtask faults [times]`: the fault suites of the tests, so many times as long.

use anyhow::ensure;

use crate::place::Place;
use crate::program::{cargo, run as run_program};

/// How many times as long, unless said otherwise.
pub const DEFAULT_TIMES: u32 = 10;

/// What CI does once: power cuts of the store, random workflows with a death at every write, and
/// random histories of the laws.
const CYCLES: u32 = 60;
const CASES: u32 = 24;
const HISTORIES: u32 = 10_000;

/// Runs them, one after the other. Each prints what it counted.
///
/// # Errors
/// If one fails.
pub fn run(place: &Place, times: u32) -> anyhow::Result<()> {
    ensure!(times > 0, "so many times as long has to be 1 or more");
    crate::setup::run(place)?;
    crate::build::plugins(place)?;
    run_program(&mut cargo(place, ["build", "--release", "--workspace", "--all-targets"]))?;
    let suites: [&[&str]; 3] = [
        &["--lib", "--", "history_tests", "--nocapture"],
        &["--test", "engine", "--", "crash_points", "--nocapture"],
        &["--test", "faults", "--", "--nocapture"],
    ];
    for suite in suites {
        let mut tests = cargo(place, ["test", "--release", "--workspace"]);
        tests
            .args(suite)
            .env("TOMBOLO_FAULT_CYCLES", times.saturating_mul(CYCLES).to_string())
            .env("TOMBOLO_FAULT_CASES", times.saturating_mul(CASES).to_string())
            .env("TOMBOLO_FAULT_HISTORIES", times.saturating_mul(HISTORIES).to_string());
        run_program(&mut tests)?;
    }
    Ok(())
}
