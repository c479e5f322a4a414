//! Flow control: lanes. How many runs go at the same time, and in which order.

use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Accept, Lane, Lease, Priority, RunLimits};
use tombolo_core::run::RunState;

use crate::world::{World, after, ended, parked, queued, succeeded, waiting};

/// A lane that runs keep their places in.
pub fn lane(name: &str, limit: u32) -> Lane {
    Lane { name: name.to_owned(), limit, in_order: false, keeps_place: true }
}

/// A lane that runs go through one after the other.
pub fn order(name: &str) -> Lane {
    Lane { in_order: true, ..lane(name, 1) }
}

/// The same, or another, in which parked runs let others pass.
fn skipped(lane: Lane) -> Lane {
    Lane { keeps_place: false, ..lane }
}

pub fn lanes(lanes: impl Into<Vec<Lane>>) -> RunLimits {
    RunLimits { lanes: lanes.into(), ..RunLimits::default() }
}

impl World {
    /// An event with a run of this flow.
    pub fn flowing(&self, key: &str, flow: RunLimits) -> Accept {
        let mut accept = self.event(key);
        accept.runs[0].flow = flow;
        accept
    }

    /// So many of them, one after the other.
    async fn many(&self, count: usize, flow: &RunLimits) -> Vec<RunId> {
        let mut runs = Vec::new();
        for _ in 0..count {
            let accept = self.flowing("", flow.clone());
            runs.push(self.accept_unnamed(accept).await);
        }
        runs
    }

    /// Accepts an event under a key of its own.
    pub async fn accept_unnamed(&self, mut accept: Accept) -> RunId {
        accept.event.dedupe_key = accept.event.id.to_string();
        self.accept(accept).await
    }

    /// What is due at that time, leased.
    pub async fn leases(&self, at: i64) -> Vec<Lease> {
        let mut leases: Vec<Lease> =
            self.claim("w", 100, after(at)).await.into_iter().map(|run| run.lease).collect();
        leases.sort_by_key(|lease| lease.run);
        leases
    }

    /// The one that is due at that time.
    async fn only(&self, at: i64) -> Lease {
        let mut leases = self.leases(at).await;
        assert_eq!(leases.len(), 1, "{leases:?}");
        leases.remove(0)
    }

    async fn end(&self, lease: &Lease) {
        self.settle(lease, succeeded()).await.unwrap();
    }
}

pub fn runs(leases: &[Lease]) -> Vec<RunId> {
    leases.iter().map(|lease| lease.run).collect()
}

pub async fn no_more_have_a_place_than_there_is_room(world: World) {
    let all = world.many(10, &lanes([lane("l", 3)])).await;
    assert_eq!(world.state(all[9]).await, RunState::Queued);
    let mut done = Vec::new();
    let mut held = world.leases(0).await;
    while let Some(lease) = held.pop() {
        assert_eq!(held.len() + 1, 3.min(10 - done.len()), "as many as there is room");
        world.settle(&lease, ended(RunState::Failed)).await.unwrap();
        done.push(lease.run);
        held.extend(world.leases(100).await);
    }
    done.sort();
    assert_eq!(done, all);
}

pub async fn every_key_and_tenant_has_its_own_lane(world: World) {
    let (ada, bob) = (lanes([lane("ada", 1)]), lanes([lane("bob", 1)]));
    let first = [world.many(2, &ada).await[0], world.many(2, &bob).await[0]];
    let (tenant, workflow) = world.other("globex").await;
    let mut other = world.flowing("", ada);
    (other.event.tenant, other.runs[0].workflow) = (tenant, workflow);
    let other = world.accept(other).await;
    assert_eq!(runs(&world.leases(0).await), [first[0], first[1], other]);
}

pub async fn a_run_needs_a_place_in_each_of_its_lanes(world: World) {
    let narrow = world.many(2, &lanes([lane("wide", 2), lane("ada", 1)])).await;
    let wide = world.many(2, &lanes([lane("wide", 2), lane("bob", 1)])).await;
    // The second waits for `ada` and takes no place of `wide`.
    let held = world.leases(0).await;
    assert_eq!(runs(&held), [narrow[0], wide[0]]);
    world.end(&held[1]).await;
    let bob = world.only(100).await;
    assert_eq!(bob.run, wide[1]);
    world.end(&held[0]).await;
    assert_eq!(world.only(100).await.run, narrow[1]);
}

pub async fn a_hot_key_holds_nobody_else_up(world: World) {
    let hot = lanes([lane("all", 2), lane("hot", 1)]);
    let (first, other) = (world.many(1, &hot).await, world.many(1, &lanes([lane("all", 2)])).await);
    let behind = world.many(200, &hot).await;
    let last = world.many(1, &lanes([lane("all", 2), lane("cold", 1)])).await;
    let held = world.leases(0).await;
    assert_eq!(runs(&held), [first[0], other[0]]);
    world.end(&held[1]).await;
    // A release looks at a bounded number; the claims go on from there.
    let mut claimed = Vec::new();
    for _ in 0..10 {
        claimed.extend(runs(&world.leases(100).await));
    }
    assert_eq!(claimed, last);
    world.end(&held[0]).await;
    assert_eq!(world.only(100).await.run, behind[0]);
}

pub async fn in_order_nobody_overtakes(world: World) {
    let all = world.many(5, &lanes([order("o")])).await;
    for run in all {
        let lease = world.only(100).await;
        assert_eq!(lease.run, run);
        world.end(&lease).await;
    }
}

pub async fn in_order_even_who_waits_for_something_else_is_not_overtaken(world: World) {
    let blocker = world.many(1, &lanes([lane("x", 1)])).await;
    let first = world.many(1, &lanes([order("o"), lane("x", 1)])).await;
    let second = world.many(1, &lanes([order("o")])).await;
    let lease = world.only(0).await;
    assert_eq!(lease.run, blocker[0]);
    world.end(&lease).await;
    let lease = world.only(100).await;
    assert_eq!(lease.run, first[0]);
    world.end(&lease).await;
    assert_eq!(world.only(100).await.run, second[0]);
}

pub async fn in_order_with_two_places_the_second_follows_the_first(world: World) {
    let two = Lane { limit: 2, ..order("o") };
    let blocker = world.many(1, &lanes([lane("x", 1)])).await;
    let first = world.many(1, &lanes([two.clone(), lane("x", 1)])).await;
    let second = world.many(1, &lanes([two])).await;
    let lease = world.only(0).await;
    assert_eq!(lease.run, blocker[0]);
    world.end(&lease).await;
    assert_eq!(runs(&world.leases(100).await), [first[0], second[0]]);
}

pub async fn a_parked_head_holds_those_behind_it(world: World) {
    let all = world.many(2, &lanes([order("o")])).await;
    let lease = world.only(0).await;
    world.settle(&lease, waiting(None)).await.unwrap();
    assert!(world.leases(1_000).await.is_empty());
    world.store.signal(world.signal(all[0], "n", 1.into()), None).await.unwrap();
    let lease = world.only(1_000).await;
    assert_eq!(lease.run, all[0]);
    world.end(&lease).await;
    assert_eq!(world.only(1_000).await.run, all[1]);
}

pub async fn a_parked_head_is_skipped_and_comes_back_first(world: World) {
    let all = world.many(3, &lanes([skipped(order("o"))])).await;
    let lease = world.only(0).await;
    world.settle(&lease, parked(after(500))).await.unwrap();
    let second = world.only(100).await;
    assert_eq!(second.run, all[1]);
    // Its time has come, and its place is another's: it waits without a claim being counted.
    assert!(world.leases(500).await.is_empty());
    assert_eq!(world.state(all[0]).await, RunState::Waiting);
    assert_eq!(world.view(all[0]).await.available_at, Some(after(3_600_000)));
    world.end(&second).await;
    let claimed = world.claim("w", 9, after(500)).await.remove(0);
    assert_eq!((claimed.run.id, claimed.claims), (all[0], 1));
    world.end(&claimed.lease).await;
    assert_eq!(world.only(500).await.run, all[2]);
}

pub async fn who_could_go_on_at_once_keeps_its_place(world: World) {
    let all = world.many(2, &lanes([skipped(lane("l", 1))])).await;
    let lease = world.only(0).await;
    world.settle(&lease, queued(after(100))).await.unwrap();
    let lease = world.only(100).await;
    assert_eq!(lease.run, all[0]);
    world.settle(&lease, waiting(None)).await.unwrap();
    assert_eq!(world.only(100).await.run, all[1]);
}

pub async fn the_higher_priority_gets_the_free_place(world: World) {
    let flow = |priority| RunLimits { priority, ..lanes([lane("l", 1)]) };
    let mut expected = Vec::new();
    for priority in [Priority::Normal, Priority::Low, Priority::Normal, Priority::High] {
        expected.extend(world.many(1, &flow(priority)).await);
    }
    let [first, low, normal, high] = expected[..] else { panic!("four") };
    for run in [first, high, normal, low] {
        let lease = world.only(100).await;
        assert_eq!(lease.run, run);
        world.end(&lease).await;
    }
}

pub async fn in_order_no_priority_overtakes(world: World) {
    let flow = |priority| RunLimits { priority, ..lanes([order("o")]) };
    let mut all = world.many(2, &flow(Priority::Low)).await;
    all.extend(world.many(1, &flow(Priority::High)).await);
    for run in all {
        let lease = world.only(100).await;
        assert_eq!(lease.run, run);
        world.end(&lease).await;
    }
}

pub async fn who_dies_keeps_its_place(world: World) {
    let all = world.many(2, &lanes([skipped(lane("l", 1))])).await;
    assert_eq!(world.only(0).await.run, all[0]);
    let again = world.only(40_000).await;
    assert_eq!(again.run, all[0]);
    assert!(world.leases(40_000).await.is_empty());
    world.end(&again).await;
    assert_eq!(world.only(40_000).await.run, all[1]);
}

pub async fn who_waits_for_a_place_is_cancelled(world: World) {
    let all = world.many(3, &lanes([order("o")])).await;
    let head = world.only(0).await;
    world.store.request_cancel(world.tenant, all[1], None).await.unwrap();
    let claimed = world.claim("w", 9, after(5)).await.remove(0);
    assert_eq!((claimed.run.id, claimed.run.cancel_requested), (all[1], true));
    world.settle(&claimed.lease, ended(RunState::Cancelled)).await.unwrap();
    assert!(world.leases(100).await.is_empty(), "the head has the place");
    world.end(&head).await;
    assert_eq!(world.only(100).await.run, all[2]);
}

pub async fn who_waits_for_a_place_is_out_of_time(world: World) {
    let flow = lanes([lane("l", 1)]);
    let head = world.many(1, &flow).await[0];
    let mut late = world.flowing("late", flow.clone());
    late.runs[0].deadline = Some(after(700));
    let late = world.accept(late).await;
    let mut without = world.flowing("without", flow);
    without.runs[0].deadline = None;
    let without = world.accept(without).await;
    let head = {
        let lease = world.only(0).await;
        assert_eq!(lease.run, head);
        lease
    };
    assert_eq!(world.view(late).await.available_at, Some(after(700)));
    assert_eq!(world.view(without).await.available_at, None);
    assert_eq!(world.store.next_due().await.unwrap(), Some(after(700)));
    let lease = world.only(700).await;
    assert_eq!(lease.run, late);
    world.settle(&lease, ended(RunState::Cancelled)).await.unwrap();
    world.end(&head).await;
    assert_eq!(world.only(700).await.run, without);
}

pub async fn the_runs_of_one_batch_line_up(world: World) {
    let flow = lanes([lane("l", 2)]);
    let mut one = world.flowing("1", flow.clone());
    let mut more = world.event("");
    more.runs[0].flow = flow.clone();
    one.runs.extend(more.runs);
    let batch = vec![one, world.flowing("2", flow.clone()), world.flowing("3", flow)];
    world.store.accept(batch).await.unwrap();
    let held = world.leases(0).await;
    assert_eq!(held.len(), 2);
    for lease in &held {
        world.end(lease).await;
    }
    assert_eq!(world.leases(100).await.len(), 2);
}

pub async fn who_has_a_lease_waits_for_nothing(world: World) {
    let flow = lanes([lane("l", 1)]);
    for key in ["1", "2"] {
        let mut accept = world.leased(key, "w", after(50));
        accept.runs[0].flow = flow.clone();
        world.accept(accept).await;
    }
    assert_eq!(world.leases(50).await.len(), 2);
}

pub async fn a_known_event_changes_nothing(world: World) {
    let flow = lanes([lane("l", 1)]);
    let first = world.accept(world.flowing("1", flow.clone())).await;
    world.store.accept(vec![world.flowing("1", flow.clone())]).await.unwrap();
    let second = world.accept(world.flowing("2", flow)).await;
    let lease = world.only(0).await;
    assert_eq!(lease.run, first);
    world.end(&lease).await;
    assert_eq!(world.only(100).await.run, second);
}

pub async fn a_run_that_is_opened_again_goes_on_without(world: World) {
    let all = world.many(2, &lanes([lane("l", 1)])).await;
    let first = world.only(0).await;
    world.end(&first).await;
    let second = world.only(100).await;
    assert_eq!(second.run, all[1]);
    world.open(first.run, "repair", after(200)).await;
    let owner = crate::world::worker("repair");
    let reopened = Lease { epoch: first.epoch + 1, owner, ..first };
    world.settle(&reopened, queued(after(300))).await.unwrap();
    let again = world.only(300).await;
    assert_eq!(again.run, all[0]);
    // Neither its end nor the other's gives a place away twice.
    let more = world.many(2, &lanes([lane("l", 1)])).await;
    world.end(&again).await;
    assert!(world.leases(300).await.is_empty());
    world.end(&second).await;
    assert_eq!(world.only(300).await.run, more[0]);
}
