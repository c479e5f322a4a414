//! Whose turn it is: which of the due runs a claim takes, by their priorities and their tenants.

use std::collections::HashMap;

use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::Turns;

/// One place in so many is kept for the priorities below the highest that is due.
const KEPT: usize = 8;

/// Tenants of which a claim looks at runs, where more is due than it takes.
pub(crate) const TENANTS_IN_TURN: usize = 64;

/// Tenants of which it looks whether anything is due, to find those.
pub(crate) const TENANTS_PASSED: usize = 512;

/// Runs that it looks at for that, of all of them together.
const RUNS_IN_TURN: usize = 512;

/// At how many runs of each of these tenants a claim of so many looks.
pub(crate) fn of_each(tenants: usize, limit: usize) -> usize {
    (RUNS_IN_TURN / tenants.max(1)).min(limit)
}

/// A run that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) since: Timestamp,
    pub(crate) run: RunId,
    pub(crate) tenant: TenantId,
}

/// `classes` begin with the highest priority, each with the longest due, and where more is due than
/// the limit, with some of every tenant's. The kept places go to the longest due of all classes below
/// the first that has any, so that none of them starves.
pub(crate) fn choose(classes: Vec<Vec<Due>>, limit: usize, turns: Option<&Turns>) -> Vec<RunId> {
    let mut shares = turns.map(|turns| turns.shares.clone());
    let classes = classes.into_iter().map(|class| in_turn(class, turns));
    let mut classes = classes.skip_while(Vec::is_empty);
    let highest = classes.next().unwrap_or_default();
    let lower: Vec<Due> = classes.flatten().collect();
    let mut kept = lower.clone();
    kept.sort();
    kept.truncate(limit / KEPT);
    let (above, rest) = highest.split_at(highest.len().min(limit - kept.len()));
    let others = lower.iter().filter(|due| !kept.contains(due));
    let mut chosen = Vec::with_capacity(limit);
    for due in above.iter().chain(&kept).chain(rest).chain(others) {
        if chosen.len() == limit {
            break;
        }
        if let Some(shares) = &mut shares {
            if !shares.has_room_for(due.tenant) {
                continue;
            }
            shares.take(due.tenant);
        }
        chosen.push(due.run);
    }
    chosen
}

/// The longest due first. Where tenants share: whoever has the fewest slots, so that each gets as many
/// as the others; and of those not who waits longest, which is who has queued most, but whose turn it
/// is.
fn in_turn(mut class: Vec<Due>, turns: Option<&Turns>) -> Vec<Due> {
    class.sort();
    class.dedup();
    let Some(Turns { shares, first }) = turns else {
        return class;
    };
    let mut slots: HashMap<TenantId, usize> = HashMap::new();
    class.sort_by_cached_key(|due| {
        let slot = slots.entry(due.tenant).or_insert_with(|| shares.of(due.tenant));
        *slot += 1;
        (*slot, due.tenant < *first, due.tenant)
    });
    class
}

#[cfg(test)]
mod tests {
    use tombolo_core::ports::store::Shares;
    use uuid::Uuid;

    use super::*;

    const FEW: u128 = 1;
    const MANY: u128 = 2;

    fn tenant(n: u128) -> TenantId {
        TenantId(Uuid::from_u128(n))
    }

    fn turns(shares: Shares) -> Option<Turns> {
        Some(Turns { shares, first: tenant(FEW) })
    }

    /// Runs of a tenant, named by their numbers, due since the time of the same number.
    fn of(tenant_number: u128, numbers: impl IntoIterator<Item = i64>) -> Vec<Due> {
        let due = |n: i64| Due {
            since: Timestamp(n),
            run: RunId(Uuid::from_u128(u128::from(n.unsigned_abs()))),
            tenant: tenant(tenant_number),
        };
        numbers.into_iter().map(due).collect()
    }

    fn class(numbers: impl IntoIterator<Item = i64>) -> Vec<Due> {
        of(MANY, numbers)
    }

    fn numbers(chosen: &[RunId]) -> Vec<u128> {
        chosen.iter().map(|run| run.0.as_u128()).collect()
    }

    fn chosen(classes: [Vec<Due>; 3], limit: usize) -> Vec<u128> {
        numbers(&choose(classes.into(), limit, None))
    }

    #[test]
    fn the_higher_go_first_and_the_longest_due_of_the_lower_have_a_place_kept() {
        let classes = || [class(10..30), class(50..60), class(40..50)];
        assert_eq!(chosen(classes(), 8), [10, 11, 12, 13, 14, 15, 16, 40]);
        assert_eq!(chosen(classes(), 4), [10, 11, 12, 13]);
        assert_eq!(chosen(classes(), 23).len(), 23);
        assert_eq!(chosen(classes(), 100).len(), 40);
    }

    #[test]
    fn places_that_nobody_above_needs_go_to_the_next() {
        assert_eq!(chosen([class([1]), class([2, 3]), class([4])], 3), [1, 2, 3]);
        assert_eq!(chosen([class([]), class([2, 3]), class([1])], 2), [2, 3]);
        assert_eq!(chosen([class([]), class([]), class([1])], 8), [1]);
    }

    #[test]
    fn who_has_few_runs_does_not_wait_for_who_has_many() {
        let due = [of(MANY, 10..90), of(FEW, [100, 101])].concat();
        let chosen = choose(vec![due], 6, turns(Shares::new(64)).as_ref());
        assert_eq!(numbers(&chosen), [100, 10, 101, 11, 12, 13]);
    }

    #[test]
    fn who_is_not_served_this_time_is_served_another() {
        // Each has a run that is longer due than all of the next.
        let due: Vec<Due> = (0..20_u8).flat_map(|n| of(n.into(), [n.into()])).collect();
        let mut served: Vec<u128> = (0..20_u8)
            .flat_map(|n| {
                let turns = Turns { shares: Shares::new(64), first: tenant(n.into()) };
                numbers(&choose(vec![due.clone()], 4, Some(&turns)))
            })
            .collect();
        served.sort_unstable();
        served.dedup();
        assert_eq!(served.len(), 20);
    }

    #[test]
    fn who_has_its_share_gets_nothing_and_who_has_less_comes_first() {
        let mut shares = Shares::new(16);
        (0..14).for_each(|_| shares.take(tenant(MANY)));
        let due = [of(MANY, 10..20), of(FEW, [100, 101])].concat();
        let chosen = choose(vec![due], 2, turns(shares).as_ref());
        assert_eq!(numbers(&chosen), [100], "an eighth of what is left is for a third");

        let mut shares = Shares::new(60);
        (0..20).for_each(|_| shares.take(tenant(MANY)));
        let due = [of(MANY, 10..20), of(FEW, 100..110)].concat();
        let chosen = choose(vec![due], 10, turns(shares).as_ref());
        assert_eq!(numbers(&chosen), (100..110).collect::<Vec<_>>());
    }

    #[test]
    fn a_high_priority_beyond_its_tenants_share_leaves_its_place_to_the_others() {
        let mut shares = Shares::new(8);
        (0..7).for_each(|_| shares.take(tenant(MANY)));
        let chosen = choose(vec![of(MANY, 1..9), of(FEW, [20])], 1, turns(shares).as_ref());
        assert_eq!(numbers(&chosen), [20]);
    }
}
