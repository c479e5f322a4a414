//! Where nonces and new keys come from. Passed in, so that a test can repeat itself.

use rand::TryRngCore;
use rand::rngs::OsRng;

pub use tombolo_core::random::Randomness;

/// The operating system's source.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandomness;

impl Randomness for OsRandomness {
    /// # Panics
    ///
    /// If the operating system has no randomness. To go on would mean to reuse a nonce.
    fn fill(&self, bytes: &mut [u8]) {
        OsRng.try_fill_bytes(bytes).expect("the operating system gives random bytes");
    }
}
