//! Flow control: when runs start, which of them, and whose turn comes first.

use std::time::Duration;

use tombolo_core::id::RunId;
use tombolo_core::ports::store::{
    Accept, Accepted, Debounce, Priority, RunLimits, Singleton, Throttle, WhenBusy,
};
use tombolo_core::run::RunState;

use crate::flow::{lane, lanes, runs};
use crate::world::{NOW, World, after, ended, parked, succeeded, worker};

fn throttle(runs: u32, per_ms: u64) -> RunLimits {
    let per = Duration::from_millis(per_ms);
    RunLimits {
        throttle: Some(Throttle { name: "t".to_owned(), runs, per }),
        ..RunLimits::default()
    }
}

fn debounce(wait_ms: u64, max_ms: u64) -> RunLimits {
    let (wait, max) = (Duration::from_millis(wait_ms), Duration::from_millis(max_ms));
    RunLimits {
        debounce: Some(Debounce { name: "d".to_owned(), wait, max }),
        ..RunLimits::default()
    }
}

fn singleton(when_busy: WhenBusy) -> RunLimits {
    RunLimits {
        singleton: Some(Singleton { name: "s".to_owned(), when_busy }),
        ..RunLimits::default()
    }
}

impl World {
    /// An event of this flow that comes so many milliseconds later.
    fn coming(&self, key: &str, flow: RunLimits, ms: i64) -> Accept {
        let mut accept = self.flowing(key, flow);
        accept.event.received_at = after(ms);
        accept.runs[0].deadline = Some(after(ms + 3_600_000));
        accept
    }

    /// Accepts an event, and gives the run that it started or joined.
    async fn run_of(&self, accept: Accept) -> RunId {
        let event = accept.event.id;
        let accepted = self.store.accept(vec![accept]).await.unwrap().remove(0);
        let Accepted::New { event: stored, runs } = accepted else { panic!("{accepted:?}") };
        assert_eq!(stored, event);
        let view = self.store.event(self.tenant, event).await.unwrap().unwrap();
        assert_eq!(view.runs, runs, "it is kept which run it belongs to");
        runs[0]
    }

    async fn due_at(&self, run: RunId) -> i64 {
        self.view(run).await.available_at.unwrap().0 - NOW.0
    }
}

pub async fn a_throttle_spreads_starts_evenly_after_a_burst(world: World) {
    let mut due = Vec::new();
    for n in 0..6 {
        let run = world.accept(world.coming(&n.to_string(), throttle(3, 900), 0)).await;
        due.push(world.due_at(run).await);
    }
    assert_eq!(due, [0, 0, 0, 300, 600, 900]);
    assert_eq!(world.leases(0).await.len(), 3);
    assert_eq!(world.leases(599).await.len(), 1);
    // After a pause there may be a burst again; a time that does not divide is rounded up.
    let mut due = Vec::new();
    for n in 6..11 {
        let run = world.accept(world.coming(&n.to_string(), throttle(3, 1000), 10_000)).await;
        due.push(world.due_at(run).await - 10_000);
    }
    assert_eq!(due, [0, 0, 0, 334, 667]);
}

pub async fn a_throttled_run_needs_its_place_too(world: World) {
    let flow = RunLimits { lanes: lanes([lane("l", 1)]).lanes, ..throttle(1, 500) };
    let first = world.accept(world.coming("1", flow.clone(), 0)).await;
    let second = world.accept(world.coming("2", flow.clone(), 0)).await;
    let third = world.accept(world.coming("3", flow, 0)).await;
    let held = world.leases(0).await;
    assert_eq!(runs(&held), [first]);
    world.settle(&held[0], succeeded()).await.unwrap();
    assert_eq!(world.due_at(second).await, 500);
    let held = world.leases(500).await;
    assert_eq!(runs(&held), [second]);
    assert!(world.leases(1_400).await.is_empty(), "its time has come, its place has not");
    world.settle(&held[0], succeeded()).await.unwrap();
    assert_eq!(runs(&world.leases(1_400).await), [third]);
}

pub async fn a_throttled_run_is_cancelled_and_out_of_time(world: World) {
    world.accept(world.coming("1", throttle(1, 5_000), 0)).await;
    let cancelled = world.accept(world.coming("2", throttle(1, 5_000), 0)).await;
    let mut late = world.coming("3", throttle(1, 5_000), 0);
    late.runs[0].deadline = Some(after(700));
    let late = world.accept(late).await;
    assert_eq!(world.leases(0).await.len(), 1);
    world.store.request_cancel(world.tenant, cancelled, None).await.unwrap();
    assert_eq!(runs(&world.leases(100).await), [cancelled]);
    assert_eq!(runs(&world.leases(700).await), [late]);
}

pub async fn a_debounced_run_starts_after_the_last_event_and_has_it(world: World) {
    let first = world.run_of(world.coming("1", debounce(100, 250), 0)).await;
    assert_eq!(world.due_at(first).await, 100);
    let last = world.coming("2", debounce(100, 250), 60);
    let event = last.event.clone();
    assert_eq!(world.run_of(last).await, first);
    assert_eq!(world.due_at(first).await, 160);
    let view = world.view(first).await;
    assert_eq!((view.run.event, view.event.payload), (event.id, event.payload));
    assert_eq!(view.run.deadline, Some(after(3_600_060)));
    // Known already: it does not put the start off.
    let again = world.coming("2", debounce(100, 250), 90);
    let known = world.store.accept(vec![again]).await.unwrap();
    assert!(matches!(&known[0], Accepted::Duplicate { runs, .. } if *runs == [first]));
    assert!(world.leases(159).await.is_empty());
    for (n, ms) in [("3", 140), ("4", 200), ("5", 240)] {
        assert_eq!(world.run_of(world.coming(n, debounce(100, 250), ms)).await, first);
    }
    assert_eq!(world.due_at(first).await, 250, "at the latest");
    assert_eq!(runs(&world.leases(250).await), [first]);
    assert_eq!(world.view(first).await.run.correlation_id, "correlation-5");

    let second = world.run_of(world.coming("6", debounce(100, 250), 251)).await;
    assert_ne!(second, first);
    assert_eq!(world.due_at(second).await, 351);
}

pub async fn the_longer_way_to_a_debounced_run_counts(world: World) {
    let coming = |key: &str, depth, ms| {
        let mut accept = world.coming(key, debounce(100, 250), ms);
        accept.runs[0].depth = depth;
        accept
    };
    let first = world.run_of(coming("1", 0, 0)).await;
    for (key, depth, counts) in [("2", 7, 7), ("3", 0, 7)] {
        assert_eq!(world.run_of(coming(key, depth, 10)).await, first);
        assert_eq!(world.view(first).await.run.depth, counts);
    }
}

pub async fn who_is_to_end_gathers_no_more(world: World) {
    let first = world.run_of(world.coming("1", debounce(100, 250), 0)).await;
    world.store.request_cancel(world.tenant, first, None).await.unwrap();
    assert_ne!(world.run_of(world.coming("2", debounce(100, 250), 20)).await, first);
}

pub async fn a_debounced_run_waits_for_its_place_all_the_same(world: World) {
    let flow = RunLimits { lanes: lanes([lane("l", 1)]).lanes, ..debounce(100, 250) };
    world.accept(world.flowing("0", lanes([lane("l", 1)]))).await;
    let holder = world.leases(0).await.remove(0);
    let run = world.run_of(world.coming("1", flow.clone(), 0)).await;
    assert_eq!(world.run_of(world.coming("2", flow, 50)).await, run);
    assert!(world.leases(300).await.is_empty());
    world.settle(&holder, succeeded()).await.unwrap();
    assert_eq!(world.due_at(run).await, 150);
    assert_eq!(runs(&world.leases(300).await), [run]);
}

pub async fn an_event_joins_the_singleton_that_goes(world: World) {
    let accept = world.coming("1", singleton(WhenBusy::Join), 0);
    let event = accept.event.id;
    let first = world.run_of(accept).await;
    assert_eq!(world.run_of(world.coming("2", singleton(WhenBusy::Join), 1)).await, first);
    let lease = world.leases(1).await.remove(0);
    assert_eq!(world.run_of(world.coming("3", singleton(WhenBusy::Join), 2)).await, first);
    world.settle(&lease, parked(after(500))).await.unwrap();
    assert_eq!(world.run_of(world.coming("4", singleton(WhenBusy::Join), 3)).await, first);
    assert_eq!(world.view(first).await.run.event, event);
    let lease = world.leases(500).await.remove(0);
    world.settle(&lease, succeeded()).await.unwrap();
    let second = world.run_of(world.coming("5", singleton(WhenBusy::Join), 600)).await;
    assert_ne!(second, first);
    assert_eq!(runs(&world.leases(600).await), [second]);
}

pub async fn one_event_may_join_one_run_and_start_another(world: World) {
    let first = world.run_of(world.coming("1", singleton(WhenBusy::Join), 0)).await;
    let mut both = world.coming("2", singleton(WhenBusy::Join), 0);
    both.runs.push(world.run());
    let other = both.runs[1].id;
    let accepted = world.store.accept(vec![both]).await.unwrap();
    assert!(matches!(&accepted[0], Accepted::New { runs, .. } if *runs == [first, other]));
    assert_eq!(runs(&world.leases(0).await), [first, other]);
}

pub async fn a_singleton_is_replaced(world: World) {
    let replace = |n: &str, ms| world.coming(n, singleton(WhenBusy::Replace), ms);
    let first = world.run_of(replace("1", 0)).await;
    let lease = world.leases(0).await.remove(0);
    let second = world.run_of(replace("2", 10)).await;
    assert!(world.view(first).await.run.cancel_requested);
    assert!(world.leases(20).await.is_empty(), "the first is still at work");
    let third = world.run_of(replace("3", 30)).await;
    // The second ends without having had its place.
    let ending = world.leases(30).await.remove(0);
    assert_eq!(ending.run, second);
    world.settle(&ending, ended(RunState::Cancelled)).await.unwrap();
    assert!(world.leases(100).await.is_empty());
    world.settle(&lease, ended(RunState::Cancelled)).await.unwrap();
    assert_eq!(runs(&world.leases(100).await), [third]);
}

pub async fn joined_events_go_with_their_run(world: World) {
    let mut events = Vec::new();
    for n in ["1", "2", "3"] {
        let accept = world.coming(n, debounce(100, 250), 0);
        events.push(accept.event.id);
        world.run_of(accept).await;
    }
    let joining = world.coming("4", singleton(WhenBusy::Join), 0);
    let joined = world.coming("5", singleton(WhenBusy::Join), 0);
    events.extend([joining.event.id, joined.event.id]);
    world.run_of(joining).await;
    world.run_of(joined).await;
    for lease in world.leases(250).await {
        world.settle(&lease, succeeded()).await.unwrap();
    }
    let workflow = (world.tenant, world.workflow);
    assert_eq!(world.store.forget(workflow, after(10_000), 10).await.unwrap(), 2);
    for event in events {
        assert!(world.store.event(world.tenant, event).await.unwrap().is_none());
    }
}

/// So many runs of a priority.
async fn backlog(world: &World, count: usize, priority: Priority) -> Vec<RunId> {
    let mut runs = Vec::new();
    for _ in 0..count {
        let accept = world.flowing("", RunLimits { priority, ..RunLimits::default() });
        runs.push(world.accept_unnamed(accept).await);
    }
    runs
}

pub async fn the_higher_priority_is_claimed_first_and_the_lower_is_not_starved(world: World) {
    let low = backlog(&world, 4, Priority::Low).await;
    let normal = backlog(&world, 4, Priority::Normal).await;
    let high = backlog(&world, 20, Priority::High).await;
    let claim = async |limit| {
        let claimed = world.claim("w", limit, after(0)).await;
        let mut runs: Vec<RunId> = claimed.iter().map(|claimed| claimed.run.id).collect();
        runs.sort();
        runs
    };
    // The longest due of the lower ones has the place that is kept.
    let mut first = vec![low[0]];
    first.extend(&high[..7]);
    assert_eq!(claim(8).await, first);
    assert_eq!(claim(4).await, high[7..11]);
    let mut third = low[1..3].to_vec();
    third.extend(&normal[..4]);
    third.extend(&high[11..]);
    assert_eq!(claim(15).await, third);
    assert_eq!(claim(8).await, low[3..]);
    assert_eq!(world.store.next_due().await.unwrap(), Some(after(30_000)));
}

pub async fn what_is_held_is_not_claimed_whatever_its_priority(world: World) {
    let high = backlog(&world, 2, Priority::High).await;
    let lease = world.claim("w", 1, after(0)).await.remove(0).lease;
    assert_eq!(lease.owner, worker("w"));
    let claimed = world.claim_but("w", 9, after(40_000), vec![lease.run]).await;
    assert_eq!(claimed.iter().map(|one| one.run.id).collect::<Vec<_>>(), [high[1]]);
}
