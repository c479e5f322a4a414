//! Time, identity and randomness of this machine: the only place that asks for them.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::{Rng, RngCore, TryRngCore};
use tombolo_core::clock::{Clock, Timestamp};
use tombolo_core::id::IdSource;
use tombolo_core::random::{Random, Randomness};
use uuid::{Builder, Uuid};

/// The machine's clock and random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "this is where the time is asked for")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl IdSource for System {
    #[expect(clippy::disallowed_methods, reason = "this is where randomness is asked for")]
    fn next(&self) -> Uuid {
        let mut random = [0; 10];
        rand::rng().fill_bytes(&mut random);
        let ms = u64::try_from(self.now().0).unwrap_or(0);
        Builder::from_unix_timestamp_millis(ms, &random).into_uuid()
    }
}

impl Random for System {
    #[expect(clippy::disallowed_methods, reason = "this is where randomness is asked for")]
    fn unit(&self) -> f64 {
        rand::rng().random()
    }
}

impl Randomness for System {
    /// # Panics
    ///
    /// If the operating system has no randomness: a key or a token must not be guessable.
    #[expect(clippy::expect_used, reason = "to go on would mean a key that can be guessed")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rngs::OsRng.try_fill_bytes(bytes).expect("the operating system gives random bytes");
    }
}
