//! When the next of many runs is repaired, and when that stops. Pure: knows how many there are and
//! how much time has passed, never a run.

use std::time::Duration;

/// How many, and how fast.
#[derive(Debug, Clone, Copy)]
pub(in crate::routes) struct Pace {
    /// How many there are.
    total: usize,
    /// So many first; the others only if these come to a good end. 0 for none.
    canaries: usize,
    per_second: u32,
    /// For all of them together.
    time: Duration,
    /// Those that were tried.
    tried: usize,
    /// Those of them that worked.
    worked: usize,
    /// When the latest one was begun, after the start.
    latest: Option<Duration>,
    /// The canaries have come to a good end, or there are none.
    trusted: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::routes) enum Move {
    /// Wait so long, then try the next one.
    Try(Duration),
    /// See how the first ones end.
    Check,
    /// There is no time left for the next one.
    OutOfTime,
    /// All were tried.
    Done,
}

impl Pace {
    /// For so many, at most `per_second` of them a second.
    pub fn new(total: usize, per_second: u32, time: Duration) -> Self {
        let (canaries, tried, worked, latest) = Default::default();
        Self { total, canaries, per_second, time, tried, worked, latest, trusted: true }
    }

    /// The same, with so many tried first.
    pub fn with_canaries(self, canaries: usize) -> Self {
        Self { canaries, trusted: canaries == 0, ..self }
    }

    /// The same, as fast as it goes: for what only looks.
    pub fn at_once(self) -> Self {
        Self { per_second: u32::MAX, ..self }
    }

    /// What comes next, so long after the start.
    pub fn next(&self, elapsed: Duration) -> Move {
        let all = self.tried == self.total;
        if !self.trusted && (self.worked == self.canaries || all && self.worked > 0) {
            return Move::Check;
        }
        if all {
            return Move::Done;
        }
        let due = self.due();
        if due.max(elapsed) >= self.time {
            return Move::OutOfTime;
        }
        Move::Try(due.saturating_sub(elapsed))
    }

    /// When the next one is due, after the start. Counted from the one before: who was late does
    /// not catch up.
    fn due(&self) -> Duration {
        let gap = Duration::from_secs(1) / self.per_second.max(1);
        self.latest.map_or(Duration::ZERO, |latest| latest + gap)
    }

    /// One was begun then, and worked.
    pub fn worked(&mut self, began: Duration) {
        self.refused(began);
        self.worked += 1;
    }

    /// One was begun then, and did not work. It costs its turn, too.
    pub fn refused(&mut self, began: Duration) {
        self.tried += 1;
        self.latest = Some(began);
    }

    /// The canaries have come to a good end.
    pub fn trust(&mut self) {
        self.trusted = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn at_most_so_many_a_second() {
        let mut pace = Pace::new(4, 10, HOUR);
        assert_eq!(pace.next(ms(0)), Move::Try(ms(0)));
        pace.worked(ms(0));
        assert_eq!(pace.next(ms(30)), Move::Try(ms(70)));
        pace.refused(ms(100));
        assert_eq!(pace.next(ms(110)), Move::Try(ms(90)), "what is refused costs its turn");
        pace.worked(ms(900));
        assert_eq!(pace.next(ms(950)), Move::Try(ms(50)), "who was late does not catch up");
        pace.worked(ms(1_000));
        assert_eq!(pace.next(ms(1_001)), Move::Done);
    }

    #[test]
    fn what_would_come_too_late_is_not_waited_for() {
        let mut pace = Pace::new(3, 1, ms(1_500));
        pace.worked(ms(0));
        assert_eq!(pace.next(ms(10)), Move::Try(ms(990)));
        pace.worked(ms(1_000));
        assert_eq!(pace.next(ms(1_000)), Move::OutOfTime);
        assert_eq!(Pace::new(1, 1, ms(10)).next(ms(10)), Move::OutOfTime);
    }

    #[test]
    fn the_canaries_are_looked_at_before_the_others() {
        let mut pace = Pace::new(5, 1_000, HOUR).with_canaries(2);
        pace.worked(ms(0));
        pace.refused(ms(1));
        assert!(matches!(pace.next(ms(2)), Move::Try(_)), "only one of two has worked");
        pace.worked(ms(2));
        assert_eq!(pace.next(ms(3)), Move::Check);
        assert_eq!(pace.next(HOUR * 2), Move::Check, "until they are trusted");
        pace.trust();
        assert!(matches!(pace.next(HOUR / 2), Move::Try(_)));
    }

    #[test]
    fn fewer_than_the_canaries_are_looked_at_in_the_end() {
        let mut pace = Pace::new(2, 1_000, HOUR).with_canaries(10);
        pace.worked(ms(0));
        pace.refused(ms(1));
        assert_eq!(pace.next(ms(2)), Move::Check);
        pace.trust();
        assert_eq!(pace.next(ms(2)), Move::Done);
        let mut none = Pace::new(1, 1_000, HOUR).with_canaries(10);
        none.refused(ms(0));
        assert_eq!(none.next(ms(1)), Move::Done, "nothing runs that could be looked at");
    }
}
