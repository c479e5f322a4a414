//! The file of checkpoints: one line for each, appended and flushed, never rewritten. Keep it, or a
//! copy of it, where whoever can write the database cannot.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use tombolo_core::audit::{Checkpoint, CheckpointHistory, PublicKey, SignedCheckpoint};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::checkpoints::Checkpoints;

/// Longest line that is read; a checkpoint has a few hundred bytes.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// The open file.
pub struct CheckpointFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    file: Mutex<File>,
    /// Entries of the newest checkpoint of each tenant that is in it.
    newest: Mutex<HashMap<TenantId, u64>>,
}

impl CheckpointFile {
    /// Opens the file or makes it, and gives what was signed last.
    ///
    /// # Errors
    /// If it cannot be read or written, or a line of it was not signed with this key: a record that
    /// was signed with another one cannot be gone on with.
    pub fn open(path: &Path, key: &PublicKey) -> Result<(Self, Vec<Checkpoint>)> {
        let what = || format!("the file of checkpoints {}", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("{} cannot be opened", what()))?;
        flush_name(path).with_context(|| format!("{} cannot be made durable", what()))?;
        cut_torn_line(&mut file).with_context(|| format!("{} cannot be mended", what()))?;
        let history = read(BufReader::new(&file), key).with_context(what)?;
        ensure!(
            history.bad_lines().is_empty(),
            "{}: line {} is no checkpoint of the key {key}\n  help: put the key that signed it back \
             (audit.key_file), or move this file to where it is kept and start a new one",
            what(),
            history.bad_lines()[0].0,
        );
        let known: Vec<Checkpoint> = history.newest().collect();
        let newest = known.iter().map(|known| (known.tenant, known.size)).collect();
        let inner =
            Inner { path: path.to_owned(), file: Mutex::new(file), newest: Mutex::new(newest) };
        Ok((Self(Arc::new(inner)), known))
    }
}

/// Reads lines of checkpoints.
///
/// # Errors
/// If they cannot be read, or one is longer than a checkpoint can be.
pub fn read(mut lines: impl BufRead, key: &PublicKey) -> Result<CheckpointHistory> {
    let mut history = CheckpointHistory::default();
    let mut line = String::new();
    while next_line(&mut lines, &mut line)? {
        history.read(&line, key);
    }
    Ok(history)
}

/// The next line, without its end. False at the end.
///
/// # Errors
/// If it cannot be read, or is longer than [`MAX_LINE_BYTES`].
fn next_line(lines: &mut impl BufRead, line: &mut String) -> Result<bool> {
    use std::io::Read;
    line.clear();
    let read = lines.by_ref().take(MAX_LINE_BYTES as u64).read_line(line)?;
    ensure!(read < MAX_LINE_BYTES, "a line has more than {MAX_LINE_BYTES} bytes");
    if line.ends_with('\n') {
        line.pop();
    }
    Ok(read > 0)
}

/// Makes the file's name durable: it may just have been made.
fn flush_name(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()) {
        // Who may not look into a folder has made nothing in it; some kinds of it cannot be flushed.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput
            ) =>
        {
            Ok(())
        }
        flushed => flushed,
    }
}

/// What a crash left of a line that was being written was never relied on.
fn cut_torn_line(file: &mut File) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let (mut whole, mut reader) = (0, BufReader::new(&*file));
    loop {
        let mut line = Vec::new();
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 || !line.ends_with(b"\n") {
            break;
        }
        whole += read as u64;
    }
    if whole < length {
        file.set_len(whole)?;
        file.sync_all()?;
    }
    file.seek(SeekFrom::Start(0)).map(drop)
}

#[async_trait]
impl Checkpoints for CheckpointFile {
    async fn keep(&self, signed: &SignedCheckpoint, at: Timestamp) -> Result<(), String> {
        let (inner, signed) = (Arc::clone(&self.0), signed.clone());
        tokio::task::spawn_blocking(move || inner.append(&signed, at))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("{}: {error}", self.0.path.display()))
    }
}

impl Inner {
    fn append(&self, signed: &SignedCheckpoint, at: Timestamp) -> io::Result<()> {
        let Checkpoint { tenant, size, .. } = signed.checkpoint;
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.get(&tenant).is_some_and(|known| *known >= size) {
            return Ok(());
        }
        let line = format!("{}\n", CheckpointHistory::line(signed, at));
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let before = file.metadata()?.len();
        let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Half a line would make one with the next.
            file.set_len(before)?;
            return Err(error);
        }
        newest.insert(tenant, size);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tombolo_core::audit::{AuditHash, Signs, Tree};
    use tombolo_vault::AuditKey;
    use uuid::Uuid;

    use super::*;
    use crate::system::System;

    fn key(folder: &Path, name: &str) -> AuditKey {
        AuditKey::load_or_create(&folder.join(name), &System).unwrap()
    }

    fn signed(key: &AuditKey, size: u64) -> SignedCheckpoint {
        let mut tree = Tree::default();
        (0..size).for_each(|n| tree.push(AuditHash::of_leaf(&n.to_be_bytes())));
        Checkpoint::of(TenantId(Uuid::from_u128(1)), &tree).sign(key)
    }

    #[tokio::test]
    async fn checkpoints_are_appended_once_and_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("checkpoints"), key(folder.path(), "audit.key"));
        let public = key.public_key();
        let (file, known) = CheckpointFile::open(&path, &public).unwrap();
        assert_eq!(known, []);
        for size in [2, 5, 5, 2] {
            file.keep(&signed(&key, size), Timestamp(0)).await.unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);

        // What a crash leaves of a line.
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], &whole[..40]].concat()).unwrap();
        let (file, known) = CheckpointFile::open(&path, &public).unwrap();
        assert_eq!(known, [signed(&key, 5).checkpoint]);
        assert_eq!(fs::read(&path).unwrap(), whole);
        file.keep(&signed(&key, 6), Timestamp(0)).await.unwrap();
        let history = read(BufReader::new(File::open(&path).unwrap()), &public).unwrap();
        assert_eq!((history.bad_lines().len(), history.findings().len()), (0, 0));
        assert_eq!(history.newest().map(|newest| newest.size).collect::<Vec<_>>(), [6]);
    }

    #[tokio::test]
    async fn another_key_does_not_go_on_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoints");
        let (ours, theirs) = (key(folder.path(), "a.key"), key(folder.path(), "b.key"));
        let (file, _) = CheckpointFile::open(&path, &ours.public_key()).unwrap();
        file.keep(&signed(&ours, 2), Timestamp(0)).await.unwrap();
        let refused = CheckpointFile::open(&path, &theirs.public_key()).err().unwrap();
        assert!(format!("{refused:#}").contains("audit.key_file"), "{refused:#}");
    }
}
