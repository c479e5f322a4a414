//! The way to the benchmarks, which live in `tests`.

use std::process::Command;

use crate::place::Place;
use crate::{build, program};

/// Builds everything as the demo does, and runs the benchmarks with these arguments.
pub fn run(place: &Place, arguments: &[&str]) -> anyhow::Result<()> {
    build::plugins(place)?;
    build::programs(place)?;
    let mut bench = Command::new(place.binary("bench"));
    program::run(bench.args(arguments).current_dir(place.root()))
}
