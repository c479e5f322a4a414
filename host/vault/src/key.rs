//! Master keys: where they come from and how they are told apart. Never shows one.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::random::Randomness;

/// Length of every key, in bytes.
pub(crate) const KEY_BYTES: usize = 32;
/// A key file holds one line; what is longer is not a key file.
const MAX_KEY_FILE_BYTES: u64 = 4 * 1024;

/// A key in memory, wiped when dropped.
pub(crate) type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

/// Why a master key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is no key. It is not repeated here: it may be one with a typing error.
    #[error(
        "{place}: a master key is 32 bytes, written as 64 hexadecimal digits or as base64 (`openssl rand -hex 32` makes one)"
    )]
    NotAKey {
        /// `the master key`, or the file's name.
        place: String,
    },
    /// All bytes are the same, as in an example that nobody replaced.
    #[error("{place}: this is a placeholder, not a key; make one with `openssl rand -hex 32`")]
    Placeholder {
        /// `the master key`, or the file's name.
        place: String,
    },
    /// Others may read the key file.
    #[error("{}: other users can read this key file (mode {mode:03o}); run `chmod 600` on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file cannot be read or made.
    #[error("{}: the key file cannot be {doing}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `created`.
        doing: &'static str,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Two of the keys that a vault is given are the same.
    #[error("the master key {0} is given twice")]
    Twice(KeyId),
}

/// Tells master keys apart in public. Derived from the key, so that it also checks it: another key
/// under the same name cannot happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; Self::BYTES]);

impl KeyId {
    pub(crate) const BYTES: usize = 8;
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The key that all others come from.
#[derive(Clone)]
pub struct MasterKey {
    id: KeyId,
    bytes: KeyBytes,
}

impl MasterKey {
    /// A new key.
    pub fn generate(randomness: &dyn Randomness) -> Self {
        let mut bytes = KeyBytes::default();
        randomness.fill(&mut bytes[..]);
        Self::from_bytes(bytes)
    }

    /// Reads 32 bytes from hexadecimal or base64 text (either alphabet, padded or not).
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        Self::parse_at(text, "the master key")
    }

    /// Reads the key file at `path`. On Unix it must be readable by its owner only.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let fail = |source| KeyError::File { path: path.to_owned(), doing: "read", source };
        let file = File::open(path).map_err(fail)?;
        check_private(path, &file)?;
        let mut text = Zeroizing::new(String::with_capacity(128));
        file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut text).map_err(fail)?;
        Self::parse_at(&text, &path.display().to_string())
    }

    /// Makes a new key and keeps it in a new file at `path`, readable by its owner only. Fails if
    /// there is a file already: a key that is lost takes every secret with it. The file is there
    /// whole or not at all, also after a power cut, or the next start would find no key in it.
    pub fn create(path: &Path, randomness: &dyn Randomness) -> Result<Self, KeyError> {
        let fail = |source| KeyError::File { path: path.to_owned(), doing: "created", source };
        let key = Self::generate(randomness);
        let text = Zeroizing::new(format!("{}\n", &*Zeroizing::new(hex::encode(&key.bytes[..]))));
        let folder = folder_of(path);
        // Made with the mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
        file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(fail)?;
        file.persist_noclobber(path).map_err(|refused| fail(refused.error))?;
        sync_folder(folder).map_err(fail)?;
        Ok(key)
    }

    /// Its public name.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// A key of its own for `purpose` and `context`, as one block of HKDF-Expand with SHA-256
    /// (RFC 5869, section 2.3): the master key is uniform, so no extraction is needed.
    pub(crate) fn derive(&self, purpose: &str, context: &[u8]) -> KeyBytes {
        let purpose_length = u32::try_from(purpose.len()).unwrap_or(u32::MAX);
        let mut mac = keyed(&self.bytes);
        mac.update(&purpose_length.to_be_bytes());
        mac.update(purpose.as_bytes());
        mac.update(context);
        mac.update(&[1]);
        Zeroizing::new(mac.finalize().into_bytes().into())
    }

    fn from_bytes(bytes: KeyBytes) -> Self {
        let mut key = Self { id: KeyId([0; KeyId::BYTES]), bytes };
        let derived = key.derive("tombolo key id v1", b"");
        key.id.0.copy_from_slice(&derived[..KeyId::BYTES]);
        key
    }

    fn parse_at(text: &str, place: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let decoded = Zeroizing::new(decode(text).unwrap_or_default());
        let bytes = <[u8; KEY_BYTES]>::try_from(decoded.as_slice())
            .map(Zeroizing::new)
            .map_err(|_| KeyError::NotAKey { place: place.to_owned() })?;
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(KeyError::Placeholder { place: place.to_owned() });
        }
        Ok(Self::from_bytes(bytes))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

fn keyed(key: &KeyBytes) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(&key[..]).expect("HMAC takes a key of any length")
}

/// Hexadecimal first: 64 hexadecimal digits are valid base64, too, but of 48 bytes.
fn decode(text: &str) -> Option<Vec<u8>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    hex::decode(text)
        .ok()
        .or_else(|| GeneralPurpose::new(&STANDARD, config).decode(text).ok())
        .or_else(|| GeneralPurpose::new(&URL_SAFE, config).decode(text).ok())
}

#[cfg(unix)]
fn check_private(path: &Path, file: &File) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|source| KeyError::File {
        path: path.to_owned(),
        doing: "read",
        source,
    })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_path: &Path, _file: &File) -> Result<(), KeyError> {
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The new name has to survive a power cut as well as the bytes.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}
