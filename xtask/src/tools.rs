//! Programs of other people that tests start: PostgreSQL, and the library that shows a process another
//! time.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::program;

/// Where Debian's package `faketime` puts its library.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// Installs what is missing where it can be installed, and says what is not there.
///
/// # Errors
/// With what to do.
pub fn run() -> anyhow::Result<()> {
    let server = Command::new("postgres").arg("--version").output();
    let there = server.is_ok_and(|output| output.status.success());
    let named = std::env::var_os("TEST_DATABASE_URL").is_some();
    ensure!(there || named, "PostgreSQL is not on PATH: install it, or set TEST_DATABASE_URL");
    if !Path::new(FAKETIME).exists() {
        install("faketime").context("tests with a wrong clock need the package `faketime`")?;
    }
    ensure!(Path::new(FAKETIME).exists(), "{FAKETIME} is missing: install the package `faketime`");
    Ok(())
}

fn install(package: &str) -> anyhow::Result<()> {
    program::run(Command::new("apt-get").arg("update"))?;
    program::run(Command::new("apt-get").args(["install", "--yes", package]))
}
