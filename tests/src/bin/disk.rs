//! Serves a disk for a test, at the folder that is named, until standard input ends: see
//! `tombolo_tests::disk`.

use std::path::PathBuf;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).context("name the folder to mount at")?;
    tombolo_tests::disk::serve(&PathBuf::from(folder))
}
