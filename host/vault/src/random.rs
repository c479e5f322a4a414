//! Where nonces and new keys come from. Passed in, so that a test can repeat itself.

use rand::TryRngCore;
use rand::rngs::OsRng;

/// A source of bytes that nobody can predict.
pub trait Randomness: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's source.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandomness;

impl Randomness for OsRandomness {
    /// # Panics
    ///
    /// If the operating system has no randomness. To go on would mean to reuse a nonce.
    fn fill(&self, bytes: &mut [u8]) {
        OsRng
            .try_fill_bytes(bytes)
            .expect("the operating system gives random bytes");
    }
}
