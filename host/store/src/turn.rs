//! Whose turn it is: which of the due runs a claim takes, by their priorities.

use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;

/// One place in so many is kept for the priorities below the highest that is due.
const KEPT: usize = 8;

/// A run that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) since: Timestamp,
    pub(crate) run: RunId,
}

/// `classes` begin with the highest priority, each with the longest due. The kept places go to the
/// longest due of all classes below the first that has any, so that none of them starves.
pub(crate) fn choose(classes: Vec<Vec<Due>>, limit: usize) -> Vec<RunId> {
    let mut classes = classes.into_iter().skip_while(Vec::is_empty);
    let highest = classes.next().unwrap_or_default();
    let by_class: Vec<Due> = classes.flatten().collect();
    let mut by_age = by_class.clone();
    by_age.sort();
    by_age.truncate(limit / KEPT);
    let chosen_above = highest.into_iter().take(limit - by_age.len());
    let mut chosen: Vec<RunId> =
        chosen_above.chain(by_age.iter().copied()).map(|due| due.run).collect();
    let others = by_class.into_iter().filter(|due| !by_age.contains(due)).map(|due| due.run);
    chosen.extend(others.take(limit.saturating_sub(chosen.len())));
    chosen
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Runs named by their numbers, due since the time of the same number.
    fn class(numbers: impl IntoIterator<Item = i64>) -> Vec<Due> {
        let due = |n: i64| Due {
            since: Timestamp(n),
            run: RunId(Uuid::from_u128(u128::from(n.unsigned_abs()))),
        };
        numbers.into_iter().map(due).collect()
    }

    fn chosen(classes: [Vec<Due>; 3], limit: usize) -> Vec<u128> {
        choose(classes.into(), limit).iter().map(|run| run.0.as_u128()).collect()
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
}
