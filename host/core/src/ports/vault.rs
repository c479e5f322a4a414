//! The port of the vault: sealing of secrets at rest.

use crate::id::TenantId;
use crate::secret::{Sealed, Secret};

/// Where a secret belongs. A sealed secret opens only at the place it was sealed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretPlace<'a> {
    /// Whose it is.
    pub tenant: TenantId,
    /// The connection's name.
    pub connection: &'a str,
    /// The field: `bearer`, `password`, `signing`.
    pub field: &'a str,
}

/// Why a secret does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Not what [`Vault::seal`] writes.
    #[error("the stored secret is damaged or of an unknown format")]
    Malformed,
    /// Sealed under a key that this process does not have.
    #[error("the secret was sealed with key {key_id}, which is not configured")]
    UnknownKey {
        /// The key's public id.
        key_id: String,
    },
    /// The ciphertext was changed, or belongs to another place.
    #[error("the stored secret does not belong to this tenant, connection and field")]
    WrongPlace,
}

/// Seals and opens secrets.
pub trait Vault: Send + Sync {
    /// Encrypts `plain` for `place`.
    fn seal(&self, place: SecretPlace<'_>, plain: &Secret) -> Sealed;

    /// Decrypts what was sealed for `place`.
    fn open(&self, place: SecretPlace<'_>, sealed: &Sealed) -> Result<Secret, VaultError>;
}
