//! How the tenants share the slots of a process.

use std::collections::BTreeMap;

use crate::id::TenantId;

/// A tenant takes at most so many of [`OF`] of the slots that the others leave.
const AT_MOST: usize = 7;
/// See [`AT_MOST`].
const OF: usize = 8;

/// Who has the slots of a process, and who may have one more.
///
/// A tenant may have seven eighths of what the others leave free, and the first of its runs always a
/// slot that is free. So one tenant alone never has all of them, however long its runs take: another's
/// first finds one. Two that have enough to do for all slots come to as many each, and so do any
/// number of them, for each one's seven eighths get smaller as the others' grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares {
    slots: usize,
    taken: usize,
    by_tenant: BTreeMap<TenantId, usize>,
}

impl Shares {
    /// So many slots, none of them taken.
    pub fn new(slots: usize) -> Self {
        Self { slots, ..Self::default() }
    }

    /// How many slots the tenant has.
    pub fn of(&self, tenant: TenantId) -> usize {
        self.by_tenant.get(&tenant).copied().unwrap_or_default()
    }

    /// True if the tenant may have one more.
    pub fn has_room_for(&self, tenant: TenantId) -> bool {
        let taken = self.of(tenant);
        let left_by_others = self.slots + taken - self.taken.min(self.slots);
        self.taken < self.slots && (taken == 0 || (taken + 1) * OF <= left_by_others * AT_MOST)
    }

    /// Gives the tenant one more, whether it may have it or not.
    pub fn take(&mut self, tenant: TenantId) {
        self.taken += 1;
        *self.by_tenant.entry(tenant).or_default() += 1;
    }

    /// The tenant has one less.
    pub fn give_back(&mut self, tenant: TenantId) {
        if let Some(taken) = self.by_tenant.get_mut(&tenant) {
            self.taken -= 1;
            *taken -= 1;
            if *taken == 0 {
                self.by_tenant.remove(&tenant);
            }
        }
    }

    /// The tenants that may have no more.
    pub fn full(&self) -> impl Iterator<Item = TenantId> {
        self.by_tenant.keys().copied().filter(|tenant| !self.has_room_for(*tenant))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn tenant(n: u128) -> TenantId {
        TenantId(Uuid::from_u128(n))
    }

    /// Gives the tenants slots in turn for as long as any of them may have one.
    fn fill(shares: &mut Shares, tenants: &[TenantId]) {
        while let Some(next) = tenants
            .iter()
            .filter(|tenant| shares.has_room_for(**tenant))
            .min_by_key(|tenant| shares.of(**tenant))
        {
            shares.take(*next);
        }
    }

    #[test]
    fn one_tenant_leaves_an_eighth_and_the_next_an_eighth_of_that() {
        let (first, second, third) = (tenant(1), tenant(2), tenant(3));
        let mut shares = Shares::new(64);
        fill(&mut shares, &[first]);
        assert_eq!(shares.of(first), 56);
        assert_eq!(shares.full().collect::<Vec<_>>(), [first]);
        fill(&mut shares, &[first, second]);
        assert_eq!((shares.of(first), shares.of(second)), (56, 7));
        fill(&mut shares, &[first, second, third]);
        assert_eq!(shares.of(third), 1);
    }

    #[test]
    fn who_has_more_gives_way_as_its_runs_end() {
        let (first, second) = (tenant(1), tenant(2));
        let mut shares = Shares::new(60);
        fill(&mut shares, &[first]);
        // Runs of the first end one after the other, and both want what gets free.
        for _ in 0..40 {
            shares.give_back(first);
            fill(&mut shares, &[first, second]);
        }
        let (first, second) = (shares.of(first), shares.of(second));
        assert!(first.abs_diff(second) <= 4, "{first} and {second}");
    }

    #[test]
    fn few_slots_are_shared_too() {
        for (slots, of_one) in [(1, 1), (2, 1), (3, 2), (4, 3), (8, 7)] {
            let mut shares = Shares::new(slots);
            fill(&mut shares, &[tenant(1)]);
            assert_eq!(shares.of(tenant(1)), of_one, "of {slots}");
        }
    }

    proptest! {
        #[test]
        fn whoever_has_nothing_gets_what_is_free_and_nothing_is_lost(
            slots in 1_usize..200,
            moves in prop::collection::vec((0_u128..5, any::<bool>()), 0..400),
        ) {
            let mut shares = Shares::new(slots);
            for (n, takes) in moves {
                let tenant = tenant(n);
                if takes && shares.has_room_for(tenant) {
                    shares.take(tenant);
                } else if !takes {
                    shares.give_back(tenant);
                }
                let taken: usize = shares.by_tenant.values().sum();
                prop_assert_eq!(shares.taken, taken);
                prop_assert!(taken <= slots);
                prop_assert_eq!(shares.has_room_for(TenantId(Uuid::from_u128(99))), taken < slots);
            }
        }
    }
}
