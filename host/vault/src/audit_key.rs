//! The key that signs checkpoints of the record of what people did: made once, and never shown.

use std::fmt;
use std::path::Path;

use ed25519_dalek::{Signer, SigningKey};
use tombolo_core::audit::{PublicKey, Signs};

use crate::key::{KeyError, MasterKey};
use crate::random::Randomness;

/// What the signing key is derived for.
const PURPOSE: &str = "tombolo audit checkpoints v1";

/// Signs checkpoints with Ed25519. Its file is like a master key's: 32 bytes as hexadecimal digits,
/// readable for its owner only.
pub struct AuditKey(SigningKey);

impl AuditKey {
    /// Reads the key file at `path`, or makes one if there is none.
    ///
    /// # Errors
    /// If the file cannot be read or made, holds no key, or others may read it.
    pub fn load_or_create(path: &Path, randomness: &dyn Randomness) -> Result<Self, KeyError> {
        let seed = match path.exists() {
            true => MasterKey::load(path)?,
            false => MasterKey::create(path, randomness)?,
        };
        Ok(Self::of(&seed))
    }

    /// Reads the key file at `path`.
    ///
    /// # Errors
    /// As [`AuditKey::load_or_create`]; if there is none, too.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Ok(Self::of(&MasterKey::load(path)?))
    }

    fn of(seed: &MasterKey) -> Self {
        // The secret key is wiped when it is dropped.
        Self(SigningKey::from_bytes(&seed.derive(PURPOSE, b"")))
    }
}

impl Signs for AuditKey {
    fn public_key(&self) -> PublicKey {
        PublicKey::new(self.0.verifying_key())
    }

    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditKey({})", self.public_key())
    }
}
