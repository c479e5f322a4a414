//! No feature of a dependency is on for tests only. Cargo would build that crate, and everything
//! above it, once for the programs and once more for the tests: minutes, each time.

use std::collections::BTreeSet;

use super::Issue;
use crate::place::Place;
use crate::program::{cargo, output};

/// Compares what is built without and with tests.
pub fn check(place: &Place, issues: &mut Vec<Issue>) -> anyhow::Result<()> {
    let without = crates(place, "normal,build")?;
    let with = crates(place, "normal,build,dev")?;
    for only in without.difference(&with) {
        let name = only.split(' ').next().unwrap_or(only);
        let text = format!(
            "tests turn on other features of {name}: turn them on for all in \
             `[workspace.dependencies]`, or do without (`cargo tree -e dev,features -i {name}`)"
        );
        issues.push(Issue { path: "Cargo.toml".to_owned(), line: None, text });
    }
    Ok(())
}

/// All crates with their features, one a line.
fn crates(place: &Place, edges: &str) -> anyhow::Result<BTreeSet<String>> {
    let arguments = ["tree", "--locked", "--workspace", "--prefix", "none", "-f", "{p} {f}", "-e"];
    let told = output(cargo(place, arguments).arg(edges))?;
    let lines = told.lines().map(|line| line.trim_end_matches(" (*)"));
    Ok(lines.map(str::to_owned).collect())
}
