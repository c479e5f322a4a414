//! Compiled components on disk, in a folder that only this host's user can read.
//!
//! A file is `magic, HMAC-SHA256, code`; the HMAC covers the component's hash, the engine's
//! compatibility hash and the code, with a key that lies in the same folder. A file that does not
//! match is as good as none.

use std::fmt;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hmac::{Hmac, Mac};
use rand::RngCore;
use sha2::Sha256;
use tombolo_core::id::ContentHash;
use wasmtime::Engine;

const MAGIC: &[u8; 16] = b"tombolo cwasm 1\n";
const MAC_BYTES: usize = 32;
const KEY_BYTES: usize = 32;
const KEY_FILE: &str = "key";
/// What the names of half written files begin with.
const UNFINISHED: &str = ".unfinished";
/// Age at which such a file is nobody's any more.
const UNFINISHED_AGE: Duration = Duration::from_secs(3600);

/// Compiled code that may be loaded: just compiled by this host, or sealed by it.
pub(crate) struct Vouched {
    bytes: Vec<u8>,
    start: usize,
}

impl Vouched {
    /// For the compiler only: the code it just made.
    pub(crate) fn compiled(bytes: Vec<u8>) -> Self {
        Self { bytes, start: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// The folder.
pub(crate) struct Cache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
    engine: String,
    limit_bytes: u64,
}

impl Cache {
    /// Opens the folder and makes it if it is missing. One that others could write has nothing in
    /// it that can be trusted, its key least of all: it is emptied.
    pub(crate) fn open(folder: &Path, engine: &Engine, limit_bytes: u64) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let metadata = fs::metadata(folder)?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("the folder {} belongs to another user", folder.display()),
            ));
        }
        let mode = metadata.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
        if mode & 0o022 != 0 {
            tracing::warn!(folder = %folder.display(), "others could write here; everything is compiled again");
            empty(folder, |_| true)?;
        }
        // What a process that was killed left half written; others may be at work.
        empty(folder, |file| file.starts_with(UNFINISHED) && is_old(&folder.join(file)))?;
        Ok(Self {
            folder: folder.to_owned(),
            key: key(folder)?,
            engine: compatibility(engine),
            limit_bytes,
        })
    }

    /// The code of a component, if it is there and sealed by this host.
    pub(crate) fn load(&self, hash: ContentHash) -> Option<Vouched> {
        let path = self.path(hash);
        let bytes = fs::read(&path).ok()?;
        let start = MAGIC.len() + MAC_BYTES;
        let (head, code) = bytes.split_at_checked(start)?;
        let sealed = head
            .strip_prefix(MAGIC)
            .is_some_and(|mac| self.mac(hash, code).verify_slice(mac).is_ok());
        if !sealed {
            tracing::warn!(path = %path.display(), "a cached component is damaged; it is compiled again");
            return None;
        }
        Some(Vouched { bytes, start })
    }

    /// Keeps the code; the file appears whole or not at all.
    pub(crate) fn store(&self, hash: ContentHash, code: &Vouched) -> io::Result<()> {
        let mac = self.mac(hash, code.bytes()).finalize().into_bytes();
        let mut file = unfinished(&self.folder)?;
        file.write_all(MAGIC)?;
        file.write_all(&mac)?;
        file.write_all(code.bytes())?;
        file.persist(self.path(hash))?;
        self.shrink()
    }

    /// Forgets a component.
    pub(crate) fn remove(&self, hash: ContentHash) {
        // Nothing to do where nothing is.
        let _ = fs::remove_file(self.path(hash));
    }

    /// Removes the oldest files until the rest is within the limit.
    fn shrink(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if entry.path().extension().is_some_and(|extension| extension == "cwasm") {
                files.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        // The newest stays in any case: it is wanted now.
        files.pop();
        for (_, size, path) in files {
            if total <= self.limit_bytes {
                break;
            }
            fs::remove_file(path)?;
            total -= size;
        }
        Ok(())
    }

    fn mac(&self, hash: ContentHash, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes any key");
        mac.update(&hash.0);
        mac.update(self.engine.as_bytes());
        mac.update(code);
        mac
    }

    fn path(&self, hash: ContentHash) -> PathBuf {
        self.folder.join(format!("{hash}-{}.cwasm", self.engine))
    }
}

impl fmt::Debug for Cache {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Removes the files whose names are wanted gone.
fn empty(folder: &Path, gone: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() || !entry.file_name().to_str().is_none_or(&gone) {
            continue;
        }
        match fs::remove_file(entry.path()) {
            // Somebody else was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

/// True if nobody can still be writing the file.
fn is_old(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > UNFINISHED_AGE))
}

/// A file of the folder that is not there yet under its name.
fn unfinished(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)
}

/// What has to be equal for compiled code to fit an engine: version, target and settings.
pub(crate) fn compatibility(engine: &Engine) -> String {
    /// Collects what is hashed, so that the result does not depend on the standard library's
    /// hasher.
    struct Collect(Vec<u8>);
    impl Hasher for Collect {
        fn finish(&self) -> u64 {
            0
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
    }
    let mut collected = Collect(Vec::new());
    engine.precompile_compatibility_hash().hash(&mut collected);
    let hash = ContentHash::of(&collected.0).to_string();
    hash[..16].to_owned()
}

/// The folder's key, made on first use. Two processes that start together get the same one.
#[expect(
    clippy::disallowed_methods,
    reason = "a key that nobody can guess, not one that a test could repeat"
)]
fn key(folder: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let path = folder.join(KEY_FILE);
    if private_key(&path).is_none() {
        // Torn by a power cut, or touched by somebody else: what it sealed is compiled again.
        empty(folder, |name| !name.starts_with(UNFINISHED))?;
        let mut fresh = [0; KEY_BYTES];
        rand::rng().fill_bytes(&mut fresh);
        let mut file = unfinished(folder)?;
        file.write_all(&fresh)?;
        file.as_file().sync_all()?;
        if let Err(error) = file.persist_noclobber(&path)
            && error.error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error.error);
        }
    }
    private_key(&path).ok_or_else(|| {
        let problem = format!("{} is not a private key of this user", path.display());
        io::Error::new(io::ErrorKind::InvalidData, problem)
    })
}

/// The key, if it is a file of this user that nobody else can write or read.
fn private_key(path: &Path) -> Option<[u8; KEY_BYTES]> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let mine = metadata.is_file()
        && metadata.uid() == rustix::process::geteuid().as_raw()
        && metadata.permissions().mode() & 0o077 == 0;
    if mine { fs::read(path).ok()?.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine;

    fn cache(folder: &Path, limit_bytes: u64) -> Cache {
        let engine = engine::compiling(512 * 1024).unwrap();
        Cache::open(folder, &engine, limit_bytes).unwrap()
    }

    #[test]
    fn only_what_this_host_sealed_is_vouched_for() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 1_000_000);
        let hash = ContentHash::of(b"a");
        cache.store(hash, &Vouched::compiled(b"code".to_vec())).unwrap();
        assert_eq!(cache.load(hash).unwrap().bytes(), b"code");

        // The code of one component under the name of another.
        let other = ContentHash::of(b"b");
        fs::copy(cache.path(hash), cache.path(other)).unwrap();
        assert!(cache.load(other).is_none());

        let mut bytes = fs::read(cache.path(hash)).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(cache.path(hash), &bytes).unwrap();
        assert!(cache.load(hash).is_none());
        fs::write(cache.path(hash), b"short").unwrap();
        assert!(cache.load(hash).is_none());
    }

    #[test]
    fn the_folder_is_private_and_keeps_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        let first = cache(&path, 1_000);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(path.join("key")).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let second = cache(&path, 1_000);
        assert_eq!(first.key, second.key, "others could read, but nothing that is secret");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_others_could_write_is_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        let first = cache(&path, 1_000);
        let hash = ContentHash::of(b"a");
        first.store(hash, &Vouched::compiled(b"code".to_vec())).unwrap();
        fs::write(path.join(".unfinished123"), "left by a kill").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let second = cache(&path, 1_000);
        assert_ne!(first.key, second.key);
        assert!(second.load(hash).is_none());
        assert!(!path.join(".unfinished123").exists());
    }

    #[test]
    fn a_key_that_is_torn_or_public_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let first = cache(folder.path(), 1_000);
        fs::write(folder.path().join("key"), b"").unwrap();
        let second = cache(folder.path(), 1_000);
        assert_ne!(first.key, second.key);
        fs::set_permissions(folder.path().join("key"), fs::Permissions::from_mode(0o644)).unwrap();
        let third = cache(folder.path(), 1_000);
        assert_ne!(second.key, third.key);
    }

    #[test]
    fn the_oldest_goes_first_when_the_folder_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 2_500);
        let hashes = [b"a", b"b", b"c"].map(|name| ContentHash::of(name));
        for (age, hash) in hashes.into_iter().enumerate() {
            cache.store(hash, &Vouched::compiled(vec![0; 1_000])).unwrap();
            let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(age as u64);
            let file = fs::OpenOptions::new().write(true).open(cache.path(hash)).unwrap();
            file.set_modified(time).unwrap();
        }
        assert!(cache.load(hashes[0]).is_none(), "the third store made room");
        assert!(cache.load(hashes[1]).is_some());
        assert!(cache.load(hashes[2]).is_some());
    }
}
