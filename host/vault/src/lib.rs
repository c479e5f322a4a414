//! The vault: seals secrets at rest and opens them at the place they were sealed for; signs the record
//! of what people did.
//!
//! Owns the master keys and the format of a sealed secret. Never writes a secret or a key to a log
//! or an error, and never tries keys in turn: a sealed secret names its key.

mod audit_key;
mod blob;
mod key;
mod random;
mod sealing;

pub use audit_key::AuditKey;
pub use key::{KeyError, KeyId, MasterKey};
pub use random::{OsRandomness, Randomness};
pub use sealing::SealingVault;
