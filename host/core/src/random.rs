//! Randomness as a port, so that a test can repeat a run.

/// Where random numbers come from.
pub trait Random: Send + Sync {
    /// A number from 0 up to, but not including, 1.
    fn unit(&self) -> f64;
}
