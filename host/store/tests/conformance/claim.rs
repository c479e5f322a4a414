//! Claim, renew, take over: the leases.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::json;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Claim, ClaimedRun, Lease, Next, Wanted};
use tombolo_core::run::RunState;

use crate::world::{LATER, NOW, World, after, done, parked, readable, succeeded, worker};

fn ids(claimed: &[ClaimedRun]) -> Vec<RunId> {
    claimed.iter().map(|claimed| claimed.run.id).collect()
}

pub async fn takes_what_is_due_in_order_and_no_more_than_asked(world: World) {
    let mut runs = Vec::new();
    for (key, received) in [("c", 30), ("a", 10), ("d", 40), ("b", 20)] {
        let mut accept = world.event(key);
        accept.event.received_at = after(received);
        runs.push(world.accept(accept).await);
    }
    let set = |claimed: &[ClaimedRun]| ids(claimed).into_iter().collect::<HashSet<_>>();

    assert!(world.claim("w", 10, after(9)).await.is_empty());
    let two = world.claim("w", 2, after(30)).await;
    assert_eq!(set(&two), HashSet::from([runs[1], runs[3]]));
    let one = world.claim("w", 10, after(30)).await;
    assert_eq!(ids(&one), [runs[0]]);
    assert!(world.claim("w", 10, after(30)).await.is_empty());
    assert_eq!(ids(&world.claim("w", 10, after(40)).await), [runs[2]]);

    assert_eq!(one[0].lease, Lease { run: runs[0], owner: worker("w"), epoch: after(30).0 });
    assert_eq!(one[0].claims, 1);
    assert_eq!(one[0].run.state, RunState::Running);
    assert_eq!(world.state(runs[0]).await, RunState::Running);
}

pub async fn a_run_accepted_with_a_lease_is_not_due_until_it_ends(world: World) {
    let lease = world.hold("1", "first").await;
    assert_eq!(world.state(lease.run).await, RunState::Running);
    assert_eq!(world.store.next_due().await.unwrap(), Some(LATER));
    assert!(world.claim("second", 10, NOW).await.is_empty());

    let claimed = world.claim("second", 10, LATER).await;
    assert_eq!(claimed[0].lease.epoch, LATER.0);
    assert_eq!(claimed[0].claims, 2);
}

pub async fn an_ended_lease_is_claimed_again_and_counted(world: World) {
    let run = world.accept(world.event("1")).await;
    for turn in 0..4 {
        let claimed = world.claim("w", 10, after(turn * 30_000)).await;
        assert_eq!(ids(&claimed), [run]);
        assert_eq!(claimed[0].lease.epoch, after(turn * 30_000).0);
        assert_eq!(i64::from(claimed[0].claims), turn + 1);
    }
}

/// Also within the same moment.
pub async fn every_claim_has_a_higher_epoch(world: World) {
    world.accept(world.event("1")).await;
    let mut last = 0;
    for at in [100, 100, 100, 200] {
        let (now, until) = (after(at), after(at));
        let wanted = Wanted::Due { suspects: 1 };
        let (worker, held) = (worker("w"), Vec::new());
        let claim = Claim { worker, limit: 1, now, until, held, wanted, turns: None };
        let claimed = readable(world.store.claim(claim).await.unwrap().remove(0));
        assert!(claimed.lease.epoch > last && claimed.lease.epoch >= now.0, "{last}");
        last = claimed.lease.epoch;
    }
}

pub async fn two_workers_never_share_a_run(world: World) {
    let batch = (0..40).map(|n| world.event(&n.to_string())).collect();
    world.store.accept(batch).await.unwrap();
    let names: Vec<String> = (0..10).map(|n| format!("worker-{n}")).collect();

    let claims = join_all(names.iter().map(|name| world.claim(name, 4, NOW))).await;

    let all: Vec<RunId> = claims.iter().flat_map(|claimed| ids(claimed)).collect();
    assert_eq!(all.len(), 40);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 40);
}

pub async fn brings_event_and_steps(world: World) {
    let accept = world.event("1");
    let (event, payload) = (accept.event.id, accept.event.payload.clone());
    let run = world.accept(accept).await;
    let first = world.claim("w", 1, NOW).await.remove(0);
    assert!(first.steps.is_empty());
    assert_eq!(first.event.id, event);
    assert_eq!(first.event.payload, payload);
    let mut results = world.results(&first.lease, parked(after(50)));
    results.steps = vec![done("deal", json!({ "amount": 5 })), done("tier", json!("big"))];
    let mut expected = results.steps.clone();
    world.store.settle(results).await.unwrap();

    let second = world.claim("w", 1, after(50)).await.remove(0);

    assert_eq!(second.run.id, run);
    assert_eq!(second.run.correlation_id, "correlation-1");
    let mut steps = second.steps;
    steps.sort_by(|a, b| a.node.cmp(&b.node));
    expected.sort_by(|a, b| a.node.cmp(&b.node));
    assert_eq!(steps, expected);
}

pub async fn renewing_moves_the_end_and_names_the_lost(world: World) {
    let kept = world.hold("kept", "w").await;
    let ended = world.hold("ended", "w").await;
    world.settle(&ended, succeeded()).await.unwrap();
    let parted = world.hold("parked", "w").await;
    world.settle(&parted, parked(after(1))).await.unwrap();
    let stolen = world.accept(world.leased("stolen", "w", after(10))).await;
    let stolen = Lease { run: stolen, owner: worker("w"), epoch: 1 };
    let taken = world.claim("thief", 10, after(10)).await;
    assert_eq!(taken.len(), 2, "the stolen one and the parked one");
    let unknown = Lease { run: RunId::new(&world.ids), ..kept.clone() };

    let leases = [kept.clone(), ended.clone(), parted.clone(), stolen.clone(), unknown.clone()];
    let lost = world.store.renew(&leases, after(100_000)).await.unwrap();

    assert_eq!(lost, [ended.run, parted.run, stolen.run, unknown.run]);
    assert!(world.claim("other", 10, after(30_010)).await.iter().all(|c| c.run.id != kept.run));
    let due = world.claim("other", 10, after(100_000)).await;
    assert!(due.iter().any(|claimed| claimed.run.id == kept.run));
    assert_eq!(world.store.renew(&[], LATER).await.unwrap(), []);
}

pub async fn taking_over_makes_leased_runs_due(world: World) {
    let dead = world.hold("1", "dead").await;
    world.hold("2", "dead").await;
    let waiting = world.hold("3", "dead").await;
    world.settle(&waiting, parked(LATER)).await.unwrap();

    assert_eq!(world.store.take_over(after(5)).await.unwrap(), 2);

    let claimed = world.claim("new", 10, after(5)).await;
    assert_eq!(claimed.len(), 2);
    assert!(claimed.iter().all(|claimed| claimed.lease.epoch == after(5).0 && claimed.claims == 2));
    assert!(world.settle(&dead, Next::Hold).await.is_err());
}

pub async fn next_due_is_the_earliest_of_all(world: World) {
    assert_eq!(world.store.next_due().await.unwrap(), None);
    let lease = world.hold("1", "w").await;
    assert_eq!(world.store.next_due().await.unwrap(), Some(LATER));
    world.accept(world.event("2")).await;
    assert_eq!(world.store.next_due().await.unwrap(), Some(NOW));
    world.claim("w", 1, NOW).await;
    world.settle(&lease, parked(after(7))).await.unwrap();
    assert_eq!(world.store.next_due().await.unwrap(), Some(after(7)));
}

pub async fn what_a_process_holds_is_not_claimed_by_it(world: World) {
    let (mine, other) = (world.hold("1", "w").await, world.hold("2", "w").await);
    let long_after = after(1_000_000);
    let claimed = world.claim_but("w", 9, long_after, vec![mine.run]).await;
    let runs: Vec<_> = claimed.iter().map(|claimed| claimed.run.id).collect();
    assert_eq!(runs, [other.run]);
    // Renewed, it is nobody else's either.
    let until = after(2_000_000);
    assert_eq!(world.store.renew(&[mine], until).await, Ok(Vec::new()));
    assert!(world.claim("another", 9, long_after).await.is_empty());
}

pub async fn suspects_are_claimed_apart(world: World) {
    let fresh = async |key: &str| world.accept(world.event(key)).await;
    let (first, second) = (fresh("1").await, fresh("2").await);
    // Their worker dies twice.
    for turn in 0..2 {
        assert_eq!(world.claim("w", 10, after(turn * 30_000)).await.len(), 2);
    }
    let third = fresh("3").await;

    let now = after(60_000);
    assert_eq!(world.claim_wanted(Wanted::Due { suspects: 0 }, now).await, [third]);
    let one = world.claim_wanted(Wanted::Due { suspects: 1 }, now).await;
    let [one] = one[..] else { panic!("{one:?}") };
    assert!([first, second].contains(&one));
    // Died again: the other has been blamed less often.
    let other = world.claim_wanted(Wanted::Due { suspects: 1 }, after(90_000)).await;
    assert!(other.contains(&if one == first { second } else { first }), "{other:?}");
}

pub async fn what_is_to_end_is_claimed_alone(world: World) {
    let mut late = world.event("late");
    late.runs[0].deadline = Some(after(10));
    let late = world.accept(late).await;
    let unwanted = world.accept(world.event("unwanted")).await;
    world.accept(world.event("other")).await;
    world.store.request_cancel(world.tenant, unwanted, None).await.unwrap();

    assert_eq!(world.claim_wanted(Wanted::Ending, after(9)).await, [unwanted]);
    assert_eq!(world.claim_wanted(Wanted::Ending, after(10)).await, [late]);
    assert!(world.claim_wanted(Wanted::Ending, after(20)).await.is_empty());
}

pub async fn a_clock_that_was_set_back_keeps_nothing_waiting(world: World) {
    const JUMP: i64 = 3_600_000;
    let mut late = world.event("1");
    late.event.received_at = after(JUMP);
    let due = world.accept(late).await;
    let lease = world.hold("2", "w").await;
    world.settle(&lease, parked(after(JUMP + 1_000))).await.unwrap();

    assert_eq!(world.store.set_back(after(JUMP), after(10)).await, Ok(1));

    assert_eq!(world.view(due).await.available_at, Some(after(10)));
    let waits = world.view(lease.run).await.available_at;
    assert_eq!(waits, Some(after(JUMP + 1_000)), "a time that was named stays");
}
