//! The order of ids in time.

use tombolo_core::clock::Timestamp;
use uuid::Uuid;

/// The first id of version 7 that is made at a time: 48 bits of milliseconds, then zeros (RFC 9562,
/// section 5.7). Every id made earlier is smaller.
pub(crate) fn made_at(time: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(time.0.max(0).unsigned_abs()) << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_id_of_a_time_is_larger_than_every_earlier_one() {
        let time = Timestamp(1_700_000_000_000);
        let id = |ms: u64, rest: u128| Uuid::from_u128(u128::from(ms) << 80 | rest);
        assert!(id(1_699_999_999_999, (1 << 80) - 1) < made_at(time));
        assert!(id(1_700_000_000_000, 0x7000 << 64) > made_at(time));
        assert_eq!(made_at(Timestamp(-1)), Uuid::nil());
    }
}
