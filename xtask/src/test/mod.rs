//! `cargo xtask test`: every check there is, one stage after the other, and a table of what became
//! of them. A stage that fails does not stop those that don't need it.

mod libtest;
mod stage;

use std::process::{Command, ExitCode};

use anyhow::ensure;

use self::stage::{Report, Tally};
use crate::demo::{self, Builds, Ending};
use crate::place::Place;
use crate::program::{cargo, run as run_program};
use crate::{bench, build, setup, tidy, tools};

/// Runs everything. The exit code says whether all of it is fine.
pub fn run(place: &Place) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    report.check("setup", || setup::run(place));
    report.check("tools", tools::run);
    report.check("format", || run_program(&mut cargo(place, ["fmt", "--all", "--check"])));
    report.check("tidy", || tidy::run(place));
    let plugins = report.check("plugins", || build::plugins(place));
    // The host embeds a plugin: without it nothing that contains the host compiles.
    report.check_after(plugins, "clippy", || clippy(place));
    report.check_after(plugins, "clippy (wasm)", || clippy_components(place));
    report.check_after(plugins, "documentation", || documentation(place));
    let built = report.check_after(plugins, "build", || build_everything(place));
    report.tests_after(built, "tests", || libtest::run(&mut tests(place)));
    report.check_after(built, "generated files", || build::check_generated(place));
    report.check_after(built, "benchmarks", || bench::quick(place));
    report.check_after(built, "demo", || demo::run(place, Builds::Done, Ending::Once));
    Ok(report.finish())
}

/// Runs only the tests whose names contain `filter`, and what they need.
pub fn run_filtered(place: &Place, filter: &str) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let plugins = report.check("plugins", || build::plugins(place));
    let built = report.check_after(plugins, "build", || build_everything(place));
    report.tests_after(built, "tests", || {
        let mut tests = tests(place);
        let tally = libtest::run(tests.args(["--", filter]))?;
        // A typing error would pass as a success.
        ensure!(tally != Tally::default(), "no test has `{filter}` in its name");
        Ok(tally)
    });
    Ok(report.finish())
}

/// All programs and all tests in one go: what a test starts is there, and nothing is built twice.
fn build_everything(place: &Place) -> anyhow::Result<()> {
    run_program(&mut cargo(place, ["build", "--release", "--workspace", "--all-targets"]))
}

/// All tests of the workspace. The plugins' run natively.
fn tests(place: &Place) -> Command {
    cargo(place, ["test", "--release", "--workspace", "--no-fail-fast"])
}

fn clippy(place: &Place) -> anyhow::Result<()> {
    let mut clippy = cargo(place, ["clippy", "--release", "--workspace", "--all-targets"]);
    run_program(clippy.arg("--keep-going").args(DENY_WARNINGS))
}

/// What only exists in a component is seen by no other stage.
fn clippy_components(place: &Place) -> anyhow::Result<()> {
    let mut clippy = cargo(place, ["clippy", "--lib", "--keep-going"]);
    run_program(clippy.args(build::component_selection(place)?).args(DENY_WARNINGS))
}

/// The documentation of everything, private items too: who reads it here works here.
fn documentation(place: &Place) -> anyhow::Result<()> {
    let mut doc = cargo(place, ["doc", "--release", "--workspace", "--no-deps"]);
    doc.args(["--document-private-items", "--keep-going"]);
    run_program(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

const DENY_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];
