//! The data folder: made for its owner only, and held by one process at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// The file whose lock says that a server works on this folder.
const LOCK_FILE: &str = "lock";

/// The file whose lock says whether the database in this folder is copied, or changed by a command.
const CHANGE_FILE: &str = "changes.lock";

/// The folder, locked for as long as this lives.
pub struct DataDir {
    locks: Vec<File>,
}

impl DataDir {
    /// Makes the folder if it is missing, and locks it.
    ///
    /// # Errors
    /// If it cannot be made or written, or another server holds it.
    pub fn hold(path: &Path) -> Result<Self> {
        make(path)?;
        let (lock, taken) = lock(path, LOCK_FILE, File::try_lock)?;
        if !taken {
            bail!(
                "another Tombolo works on {}; stop it first, or use another folder (data.dir)",
                path.display()
            );
        }
        Ok(Self { locks: vec![lock] })
    }

    /// The same, and no command changes the database either: what it changed would not be in a copy.
    ///
    /// # Errors
    /// If a command does at this moment, too.
    pub fn hold_for_copy(path: &Path) -> Result<Self> {
        let mut held = Self::hold(path)?;
        let (lock, taken) = lock(path, CHANGE_FILE, File::try_lock)?;
        if !taken {
            bail!("a command of `tombolo` works in {} at this moment; try again", path.display());
        }
        held.locks.push(lock);
        Ok(held)
    }

    /// For a command that works in the database beside a server.
    ///
    /// # Errors
    /// If the folder cannot be written, or the database is copied at this moment.
    pub fn beside(path: &Path) -> Result<Self> {
        let (lock, taken) = lock(path, CHANGE_FILE, File::try_lock_shared)?;
        if !taken {
            bail!(
                "the database in {} is copied to another one at this moment (`tombolo store copy`), and \
                 a change would be in only one of them; wait until it has ended, then type this where \
                 DATABASE_URL is set",
                path.display()
            );
        }
        Ok(Self { locks: vec![lock] })
    }
}

/// Opens a file for its lock, and says whether that was taken.
fn lock(
    folder: &Path,
    name: &str,
    take: impl FnOnce(&File) -> Result<(), TryLockError>,
) -> Result<(File, bool)> {
    let path = folder.join(name);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("the data folder {} cannot be written", folder.display()))?;
    match take(&file) {
        Ok(()) => Ok((file, true)),
        Err(TryLockError::WouldBlock) => Ok((file, false)),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}

/// Makes the folder, readable for its owner only.
///
/// # Errors
/// If it cannot be made.
fn make(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("the data folder {} cannot be made", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_waits_for_no_command_and_none_changes_what_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        let server = DataDir::hold(folder.path()).unwrap();
        let commands = [(); 2].map(|()| DataDir::beside(folder.path()).unwrap());
        assert!(DataDir::hold_for_copy(folder.path()).is_err(), "the server is there");
        drop(server);
        let busy = DataDir::hold_for_copy(folder.path()).err().unwrap();
        assert!(busy.to_string().contains("a command of `tombolo` works in"), "{busy}");
        drop(commands);
        let copy = DataDir::hold_for_copy(folder.path()).unwrap();
        let refused = DataDir::beside(folder.path()).err().unwrap();
        assert!(refused.to_string().contains("wait until it has ended"), "{refused}");
        drop(copy);
        DataDir::beside(folder.path()).unwrap();
    }
}
