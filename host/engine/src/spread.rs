//! Places in a row, one after the other, so that none is left out for long.

use std::sync::atomic::{AtomicU64, Ordering};

/// The golden ratio's part of 2^64: its multiples are spread over a circle as evenly as any can be, however
/// many there are (three-gap theorem).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where it was last, as a part of 2^64.
#[derive(Debug, Default)]
pub(crate) struct Spread(AtomicU64);

impl Spread {
    /// The next place in a row of so many, which may be another number each time. 0 if there is none.
    pub(crate) fn next(&self, length: usize) -> usize {
        let at = self.0.fetch_add(STEP, Ordering::Relaxed);
        let place = (u128::from(at) * length as u128) >> u64::BITS;
        usize::try_from(place).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_place_is_soon_at_most_so_many_behind_one_that_was_had() {
        const BEHIND: usize = 64;
        for length in [2_usize, 3, 64, 65, 1_000, 10_007] {
            let spread = Spread::default();
            let had: BTreeSet<usize> =
                (0..2 * length.div_ceil(BEHIND)).map(|_| spread.next(length)).collect();
            let first = had.first().copied().unwrap();
            let next = had.iter().skip(1).copied().chain([first + length]);
            let widest = had.iter().zip(next).map(|(one, next)| next - one).max();
            assert!(widest.unwrap() <= BEHIND, "{widest:?} of {length}");
        }
        assert_eq!(Spread::default().next(0), 0);
    }
}
