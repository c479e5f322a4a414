//! The way to the benchmarks, which live in `tests`.

use std::process::Command;

use crate::place::Place;
use crate::{build, program};

/// Builds everything as the demo does, and runs the benchmarks with these arguments.
pub fn run(place: &Place, arguments: &[&str]) -> anyhow::Result<()> {
    build::plugins(place)?;
    build::programs(place)?;
    measure(place, arguments)
}

/// Shapes that differ on PostgreSQL. `history` brings its runs there with `tombolo store copy`.
const ON_POSTGRES: [&str; 6] = ["w2", "policies", "claims", "turns", "history", "idle"];

/// Runs what was built, for seconds only: shows that the benchmarks work and that nothing is lost
/// under load. Fails on errors, never on time.
pub fn quick(place: &Place) -> anyhow::Result<()> {
    measure(place, &["--quick"])?;
    measure(place, &[&["--quick", "--postgres"][..], &ON_POSTGRES].concat())
}

fn measure(place: &Place, arguments: &[&str]) -> anyhow::Result<()> {
    let mut bench = Command::new(place.binary("bench"));
    program::run(bench.args(arguments).current_dir(place.root()))
}
