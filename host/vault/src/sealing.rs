//! Sealing with XChaCha20-Poly1305: one key per tenant, a random nonce per secret, and the place
//! as additional data, so that nobody can move a stored secret to another place.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use tombolo_core::ports::vault::{SecretPlace, Vault, VaultError};
use tombolo_core::secret::{Sealed, Secret};
use zeroize::Zeroizing;

use crate::blob::{Blob, NONCE_BYTES};
use crate::key::{KeyError, KeyId, MasterKey};
use crate::random::{OsRandomness, Randomness};

/// Seals under the current master key, opens under that and any older one it was given.
pub struct SealingVault {
    current: MasterKey,
    older: Vec<MasterKey>,
    randomness: Box<dyn Randomness>,
}

impl SealingVault {
    /// A vault that seals under `current` and still opens what was sealed under `older` keys. The
    /// server's configuration names one key and no older ones.
    ///
    /// # Errors
    /// If a key is there twice.
    pub fn new(current: MasterKey, older: Vec<MasterKey>) -> Result<Self, KeyError> {
        Self::with_randomness(current, older, Box::new(OsRandomness))
    }

    /// As [`SealingVault::new`], with nonces from `randomness`.
    pub fn with_randomness(
        current: MasterKey,
        older: Vec<MasterKey>,
        randomness: Box<dyn Randomness>,
    ) -> Result<Self, KeyError> {
        let mut ids = vec![current.id()];
        for key in &older {
            if ids.contains(&key.id()) {
                return Err(KeyError::Twice(key.id()));
            }
            ids.push(key.id());
        }
        Ok(Self { current, older, randomness })
    }

    /// The key that new secrets are sealed under.
    pub fn current_key(&self) -> KeyId {
        self.current.id()
    }

    /// Checks, without opening it, that `sealed` was sealed under a key of this vault. The server
    /// does this at its start with what is stored, so that a wrong key is found before the first
    /// call needs it. Returns the key, which tells what is not under the current one.
    ///
    /// # Errors
    /// If the key is not here, or the bytes are no sealed secret.
    pub fn check(&self, sealed: &Sealed) -> Result<KeyId, VaultError> {
        let blob = Blob::read(sealed)?;
        self.key(blob.key).map(MasterKey::id)
    }

    /// Keys of their own for a use that is no sealing, such as `callback proofs v1`: one from each
    /// master key, that of the current one first. What was made under an older key is checked with
    /// the keys that follow. The same label gives the same keys for ever.
    pub fn derive(&self, label: &str) -> Vec<Zeroizing<[u8; 32]>> {
        std::iter::once(&self.current)
            .chain(&self.older)
            .map(|key| key.derive("tombolo derived key v1", label.as_bytes()))
            .collect()
    }

    fn key(&self, id: KeyId) -> Result<&MasterKey, VaultError> {
        std::iter::once(&self.current)
            .chain(&self.older)
            .find(|key| key.id() == id)
            .ok_or_else(|| VaultError::UnknownKey { key_id: id.to_string() })
    }
}

impl Vault for SealingVault {
    fn seal(&self, place: SecretPlace<'_>, plain: &Secret) -> Sealed {
        let mut nonce = [0; NONCE_BYTES];
        self.randomness.fill(&mut nonce);
        let ciphertext = cipher(&self.current, place)
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain.reveal(), aad: &aad(place) })
            .expect("a secret is shorter than the cipher's 256 GiB");
        Blob { key: self.current.id(), nonce: &nonce, ciphertext: &ciphertext }.write()
    }

    fn open(&self, place: SecretPlace<'_>, sealed: &Sealed) -> Result<Secret, VaultError> {
        let blob = Blob::read(sealed)?;
        let key = self.key(blob.key)?;
        cipher(key, place)
            .decrypt(
                XNonce::from_slice(blob.nonce),
                Payload { msg: blob.ciphertext, aad: &aad(place) },
            )
            .map(Secret::new)
            .map_err(|_| VaultError::WrongPlace)
    }
}

impl fmt::Debug for SealingVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingVault")
            .field("current", &self.current)
            .field("older", &self.older)
            .finish_non_exhaustive()
    }
}

/// The tenant's own key, so that one tenant's many nonces are no concern of another.
fn cipher(master: &MasterKey, place: SecretPlace<'_>) -> XChaCha20Poly1305 {
    let key = master.derive("tombolo tenant key v1", place.tenant.0.as_bytes());
    XChaCha20Poly1305::new((&*key).into())
}

/// Each part with its length before it: without, `a` + `bc` and `ab` + `c` would be one place.
fn aad(place: SecretPlace<'_>) -> Vec<u8> {
    let parts = [
        b"v1".as_slice(),
        place.tenant.0.as_bytes(),
        place.connection.as_bytes(),
        place.field.as_bytes(),
    ];
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}
