//! Randomness as a port, so that a test can repeat a run.

/// Where random numbers come from.
pub trait Random: Send + Sync {
    /// A number from 0 up to, but not including, 1.
    fn unit(&self) -> f64;
}

/// Where keys, nonces and tokens come from: bytes that nobody can predict.
pub trait Randomness: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}
