//! What a machine needs to build Tombolo: the pinned toolchain and the target of the plugins.

use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::place::{PLUGIN_TARGET, Place};
use crate::program::{self, output};

/// Checks the compiler and adds the target of the plugins if it is missing.
///
/// # Errors
/// With what to do, if the compiler is too old or the target cannot be added.
pub fn run(place: &Place) -> anyhow::Result<()> {
    check_compiler(place)?;
    if !has_target(place)? {
        add_target(place)?;
    }
    Ok(())
}

/// A toolchain that rustup chose has the version of `rust-toolchain.toml`; one that came another
/// way has to be as new as the workspace says.
fn check_compiler(place: &Place) -> anyhow::Result<()> {
    let wanted = wanted_version(place)?;
    let told = output(Command::new("rustc").arg("--version").current_dir(place.root()))
        .context("Rust is missing: install it from https://rustup.rs")?;
    let found = told.split_whitespace().nth(1).and_then(version);
    let found = found.with_context(|| format!("`rustc --version` says `{}`", told.trim()))?;
    ensure!(
        found >= wanted,
        "rustc {}.{} is too old, {}.{} is needed: run `rustup update`",
        found.0,
        found.1,
        wanted.0,
        wanted.1
    );
    eprintln!("rustc {}.{}: fine", found.0, found.1);
    Ok(())
}

fn wanted_version(place: &Place) -> anyhow::Result<(u32, u32)> {
    let manifest = std::fs::read_to_string(place.root().join("Cargo.toml"))?;
    manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'))
        .and_then(version)
        .context("Cargo.toml names no rust-version")
}

/// Major and minor number.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Looks for the target's standard library, which is there whoever installed it.
fn has_target(place: &Place) -> anyhow::Result<bool> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", PLUGIN_TARGET]);
    let libraries = output(rustc.current_dir(place.root()))?;
    Ok(std::fs::read_dir(libraries.trim()).is_ok_and(|mut files| files.next().is_some()))
}

fn add_target(place: &Place) -> anyhow::Result<()> {
    eprintln!("adding the target {PLUGIN_TARGET}, which plugins are compiled for");
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", PLUGIN_TARGET]).current_dir(place.root());
    program::run(&mut rustup).with_context(|| {
        format!("the target {PLUGIN_TARGET} is missing, and rustup could not add it")
    })?;
    if !has_target(place)? {
        bail!("rustup added {PLUGIN_TARGET}, and rustc does not find it: is it rustup's rustc?");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(version("1.95.0"), Some((1, 95)));
        assert_eq!(version("1.100"), Some((1, 100)));
        assert_eq!(version("1.97.0-nightly"), Some((1, 97)));
        assert_eq!(version("stable"), None);
        assert!(version("1.100.0") > version("1.95.0"));
    }
}
