//! A small model of leases, looked at whole: every order in which workers claim, renew, settle, freeze
//! and die, and in which their writes arrive.
//!
//! An explorer of our own (`explore`): that every run ends is about loops, in which leases run out again
//! and again. Of every state there has to be a way on to the end.

mod explore;
mod model;

use explore::explore;
use model::{Fence, Mishaps, Move, State};

/// What must never be, each with what it is called.
type Never<const WORKERS: usize, const RUNS: usize> =
    (&'static str, fn(&State<WORKERS, RUNS>) -> bool);

fn never<const WORKERS: usize, const RUNS: usize>() -> [Never<WORKERS, RUNS>; 3] {
    [
        ("a write under an old epoch has changed something", |state| {
            state.faults.stale_write_counted
        }),
        ("the result of an effect without a lease is on record", |state| {
            state.faults.late_result_recorded
        }),
        ("a run has ended twice", |state| state.runs.iter().any(|run| run.ends > 1)),
    ]
}

/// Looks at everything that can happen to so many workers and runs.
fn check<const WORKERS: usize, const RUNS: usize>(mishaps: Mishaps) {
    let is_safe = |state: &State<WORKERS, RUNS>| {
        let happened = never().into_iter().find(|(_, happened)| happened(state));
        happened.map_or(Ok(()), |(what, _)| Err(what))
    };
    let explored = explore(State::<WORKERS, RUNS>::start(Fence::Stands, mishaps), is_safe);
    let explored = explored.unwrap_or_else(|found| panic!("{found}"));
    // In the window between the loss of the lease and its notice.
    let late = explored.states.iter().filter(|state| state.works_without_lease()).count();
    println!(
        "{WORKERS} workers, {RUNS} runs, mishaps {mishaps:?}: {} states, {} steps; in {late} states \
         somebody has made an effect after the loss of its lease, and not noticed",
        explored.states.len(),
        explored.steps(),
    );
    assert!(late > 0, "the window is in the model");
    // Whoever is not frozen goes on, without any help.
    let helps = |made: &Move| !matches!(made, Move::Freeze(_) | Move::Thaw(_) | Move::Die(_));
    let ends = explored.can_reach(State::has_ended, helps);
    let stuck = explored
        .states
        .iter()
        .zip(&ends)
        .find(|(state, ends)| state.workers.iter().any(|worker| !worker.frozen) && !**ends);
    assert_eq!(stuck, None, "a run is stuck");
}

#[test]
fn of_two_workers_that_die_and_send_twice_a_lost_lease_writes_nothing_and_every_run_ends() {
    check::<2, 2>(Mishaps::All);
}

#[test]
fn of_three_workers_at_one_run_a_lost_lease_writes_nothing_and_the_run_ends() {
    check::<3, 1>(Mishaps::None);
}

#[test]
fn without_the_fence_everything_that_must_never_be_can_be() {
    for ((what, happens), fence) in never().into_iter().zip([Fence::Open, Fence::Open, Fence::Gone])
    {
        let start = State::<2, 2>::start(fence, Mishaps::All);
        let found = explore(start, |state| if happens(state) { Err(what) } else { Ok(()) });
        let found = found.err().unwrap_or_else(|| panic!("{fence:?}, and never so: {what}"));
        println!("{fence:?}: {what}, by {:?}", found.path);
        assert!(found.path.len() > 2, "{found}");
    }
}
