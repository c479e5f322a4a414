//! Time, identity and randomness of this machine: the only place that asks for them.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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
    fn next(&self) -> Uuid {
        made_at(self.now())
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where randomness is asked for")]
fn made_at(now: Timestamp) -> Uuid {
    let mut random = [0; 10];
    rand::rng().fill_bytes(&mut random);
    let ms = u64::try_from(now.0).unwrap_or(0);
    Builder::from_unix_timestamp_millis(ms, &random).into_uuid()
}

/// Ids that begin with the time of a clock.
pub struct Ids(pub Arc<dyn Clock>);

impl IdSource for Ids {
    fn next(&self) -> Uuid {
        made_at(self.0.now())
    }
}

/// The time of a server that many processes ask: a lease is as long for the one who holds it as for
/// the one who waits for its end, however wrong the clocks of their machines are.
///
/// Between two readings time goes on as this machine counts seconds, whatever its clock says.
#[derive(Debug)]
pub struct SharedClock(RwLock<Reading>);

#[derive(Debug, Clone, Copy)]
struct Reading {
    time: Timestamp,
    at: Instant,
}

impl SharedClock {
    /// A clock from its first reading.
    pub fn new(time: Timestamp, at: Instant) -> Self {
        Self(RwLock::new(Reading { time, at }))
    }

    /// Sets it: the server's clock showed `time` at `at`.
    pub fn set(&self, time: Timestamp, at: Instant) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Reading { time, at };
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        let Reading { time, at } = *self.0.read().unwrap_or_else(PoisonError::into_inner);
        time.plus(at.elapsed())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_shared_clock_goes_on_from_its_latest_reading() {
        let at = Instant::now().checked_sub(Duration::from_secs(7)).unwrap();
        let clock = SharedClock::new(Timestamp(1_000_000), at);
        assert!((1_007_000..1_060_000).contains(&clock.now().0), "{}", clock.now());
        clock.set(Timestamp(5), at);
        assert!((7_005..60_005).contains(&clock.now().0), "{}", clock.now());
        let ids = Ids(Arc::new(clock));
        let (first, second) = (ids.next(), ids.next());
        assert_ne!(first, second);
        assert_eq!(first.get_version_num(), 7);
    }
}
