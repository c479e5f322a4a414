//! The demo's folder: configuration, data and log of its Tombolo, made afresh by each demo.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::Ending;
use crate::place::Place;

/// How much of the log is shown when something went wrong, in lines.
const LOG_LINES: usize = 20;

/// A folder that is ours as long as this value lives. What is in it stays, to be looked at.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Empties the folder. A demo that stays up and one that leaves have a folder each, so that
    /// tests can run beside a demo.
    pub fn fresh(place: &Place, ending: Ending) -> anyhow::Result<Self> {
        let path = match ending {
            Ending::CtrlC => place.target().join("demo"),
            Ending::Once => place.target().join("demo-once"),
        };
        std::fs::create_dir_all(place.target()).context("cannot make the target folder")?;
        let lock = lock(&path.with_extension("lock"))?;
        if path.exists() {
            std::fs::remove_dir_all(&path).context("cannot remove the data of the last demo")?;
        }
        std::fs::create_dir(&path).context("cannot make the folder of the demo")?;
        Ok(Self { path, _lock: lock })
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.path.join("tombolo.toml")
    }

    /// What Tombolo keeps.
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// What Tombolo logs.
    pub fn log(&self) -> PathBuf {
        self.path.join("tombolo.log")
    }

    /// Prints the end of the log.
    pub fn show_log(&self, place: &Place) {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
        eprintln!("\nThe end of {}:\n{}", place.shown(&self.log()), last.join("\n"));
    }
}

/// Held until the process ends, however it ends.
fn lock(path: &Path) -> anyhow::Result<File> {
    let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another demo is running: stop it first"),
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock the demo's folder"),
    }
}
