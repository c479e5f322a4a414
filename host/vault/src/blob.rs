//! The bytes of a sealed secret. Knows their layout, and nothing of keys or places.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic `TMBS` |
//! | 1 | version of this layout, 1 |
//! | 1 | algorithm, 1 = XChaCha20-Poly1305 under a tenant key derived from the master key |
//! | 8 | id of the master key |
//! | 24 | nonce |
//! | rest | ciphertext and 16 bytes of tag |
//!
//! A tenant key that is wrapped instead of derived (envelope) will be another algorithm, with the
//! wrapped key's id after the master key's.

use tombolo_core::ports::vault::VaultError;
use tombolo_core::secret::Sealed;

use crate::key::KeyId;

const MAGIC: &[u8; 4] = b"TMBS";
const VERSION: u8 = 1;
const XCHACHA20_POLY1305_DERIVED: u8 = 1;

/// Length of the nonce of XChaCha20-Poly1305, in bytes.
pub(crate) const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// A sealed secret, taken apart.
pub(crate) struct Blob<'a> {
    /// The master key it was sealed under.
    pub key: KeyId,
    /// Drawn for this secret alone.
    pub nonce: &'a [u8; NONCE_BYTES],
    /// With the tag at its end.
    pub ciphertext: &'a [u8],
}

impl<'a> Blob<'a> {
    /// Puts the parts in order.
    pub fn write(&self) -> Sealed {
        let mut bytes = Vec::with_capacity(6 + KeyId::BYTES + NONCE_BYTES + self.ciphertext.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[VERSION, XCHACHA20_POLY1305_DERIVED]);
        bytes.extend_from_slice(&self.key.0);
        bytes.extend_from_slice(self.nonce);
        bytes.extend_from_slice(self.ciphertext);
        Sealed(bytes)
    }

    /// Takes `sealed` apart.
    pub fn read(sealed: &'a Sealed) -> Result<Self, VaultError> {
        let parts = || {
            let rest = sealed.0.strip_prefix(MAGIC)?;
            let rest = rest.strip_prefix(&[VERSION, XCHACHA20_POLY1305_DERIVED])?;
            let (key, rest) = rest.split_first_chunk::<{ KeyId::BYTES }>()?;
            let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>()?;
            (ciphertext.len() >= TAG_BYTES).then_some(Self { key: KeyId(*key), nonce, ciphertext })
        };
        parts().ok_or(VaultError::Malformed)
    }
}
