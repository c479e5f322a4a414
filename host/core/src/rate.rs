//! So many a minute, with a burst: the generic cell rate algorithm.
//!
//! Owns the arithmetic. Never asks for the time, and keeps nothing but one number for each meter.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::Timestamp;

const NANOS_OF_MINUTE: i64 = 60_000_000_000;
const NANOS_OF_MILLISECOND: i64 = 1_000_000;

/// A bound over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// What comes back in a minute, evenly.
    pub per_minute: NonZeroU32,
    /// What may come at once after a time of rest.
    pub burst: NonZeroU32,
}

/// How much of a [`Rate`] is used. A new one is not used at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    /// When all that was taken has come back: the theoretical arrival time, in nanoseconds.
    free_at: i64,
    /// The time it was asked last, in nanoseconds.
    asked_at: i64,
}

impl Default for Meter {
    fn default() -> Self {
        Self { free_at: i64::MIN, asked_at: i64::MIN }
    }
}

impl Rate {
    /// The bound; None if one of the two is 0.
    pub fn new(per_minute: u32, burst: u32) -> Option<Self> {
        let (per_minute, burst) = (NonZeroU32::new(per_minute)?, NonZeroU32::new(burst)?);
        Some(Self { per_minute, burst })
    }

    /// Takes `count` if there is room for one: what comes as a whole is taken as a whole, and what
    /// it takes too much is paid off before the next.
    ///
    /// # Errors
    /// How long until there is room.
    pub fn take(self, meter: &mut Meter, now: Timestamp, count: u32) -> Result<(), Duration> {
        let (now, one) = (nanos(now), self.interval());
        let free_at = meter.at(now);
        let wait = free_at.saturating_add(one) - now - self.tolerance();
        if wait > 0 {
            return Err(Duration::from_nanos(wait.unsigned_abs()));
        }
        meter.free_at = free_at.saturating_add(one.saturating_mul(i64::from(count)));
        Ok(())
    }

    /// How much is taken and has not come back yet.
    pub fn used(self, meter: &Meter, now: Timestamp) -> u64 {
        let now = nanos(now);
        let mut seen = *meter;
        let left = seen.at(now) - now;
        left.unsigned_abs().div_ceil(self.interval().unsigned_abs())
    }

    /// True if nothing of it is used: it need not be remembered.
    pub fn is_idle(self, meter: &Meter, now: Timestamp) -> bool {
        self.used(meter, now) == 0
    }

    /// How long one takes to come back.
    fn interval(self) -> i64 {
        NANOS_OF_MINUTE / i64::from(self.per_minute.get())
    }

    fn tolerance(self) -> i64 {
        self.interval().saturating_mul(i64::from(self.burst.get()))
    }
}

impl Meter {
    /// When it is free, not before `now`. A clock that was set back takes the meter with it, or
    /// nothing would be admitted for as long as it was set back.
    fn at(&mut self, now: i64) -> i64 {
        if now < self.asked_at {
            self.free_at = self.free_at.saturating_sub(self.asked_at - now);
        }
        self.asked_at = now;
        self.free_at.max(now)
    }
}

fn nanos(time: Timestamp) -> i64 {
    time.0.saturating_mul(NANOS_OF_MILLISECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn after(ms: u64) -> Timestamp {
        NOW.plus(Duration::from_millis(ms))
    }

    #[test]
    fn a_burst_and_then_one_after_another() {
        let rate = Rate::new(60, 3).unwrap();
        let mut meter = Meter::default();
        for _ in 0..3 {
            assert_eq!(rate.take(&mut meter, NOW, 1), Ok(()));
        }
        assert_eq!(rate.used(&meter, NOW), 3);
        assert_eq!(rate.take(&mut meter, NOW, 1), Err(Duration::from_secs(1)));
        assert_eq!(rate.take(&mut meter, after(400), 1), Err(Duration::from_millis(600)));
        assert_eq!(rate.take(&mut meter, after(1_000), 1), Ok(()));
        assert_eq!(rate.take(&mut meter, after(1_000), 1), Err(Duration::from_secs(1)));
        assert!(!rate.is_idle(&meter, after(3_999)) && rate.is_idle(&meter, after(4_000)));
    }

    #[test]
    fn what_comes_as_a_whole_is_paid_off_before_the_next() {
        let rate = Rate::new(60, 10).unwrap();
        let mut meter = Meter::default();
        assert_eq!(rate.take(&mut meter, NOW, 100), Ok(()));
        assert_eq!(rate.take(&mut meter, NOW, 1), Err(Duration::from_secs(91)));
        assert_eq!(rate.take(&mut meter, after(91_000), 1), Ok(()));
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nobody_up() {
        let rate = Rate::new(60, 1).unwrap();
        let mut meter = Meter::default();
        assert_eq!(rate.take(&mut meter, NOW, 1), Ok(()));
        let before = NOW.minus(Duration::from_secs(3_600));
        assert_eq!(rate.take(&mut meter, before, 1), Err(Duration::from_secs(1)));
        assert_eq!(rate.take(&mut meter, before.plus(Duration::from_secs(1)), 1), Ok(()));
    }

    #[test]
    fn in_any_window_no_more_than_burst_and_what_came_back() {
        let rate = Rate::new(600, 20).unwrap();
        let mut meter = Meter::default();
        // Asked every 7 ms for a minute.
        let taken = (0..60_000 / 7).filter(|n| rate.take(&mut meter, after(n * 7), 1).is_ok());
        let taken = taken.count();
        assert!((610..=620).contains(&taken), "{taken}");
    }
}
