//! The wish to end a run.

use tombolo_core::id::RunId;
use tombolo_core::ports::store::{CancelRequest, Next};
use tombolo_core::run::RunState;

use crate::world::{LATER, World, after, parked, succeeded};

async fn cancel(world: &World, run: RunId) -> CancelRequest {
    world.store.request_cancel(world.tenant, run, None).await.unwrap()
}

pub async fn an_unknown_run(world: World) {
    let run = RunId::new(&world.ids);
    assert_eq!(cancel(&world, run).await, CancelRequest::Unknown);
    let (tenant, _) = world.other("globex").await;
    let run = world.accept(world.event("1")).await;
    let answer = world.store.request_cancel(tenant, run, None).await.unwrap();
    assert_eq!(answer, CancelRequest::Unknown);
    let view = world.store.run(world.tenant, run).await.unwrap().unwrap();
    assert!(!view.run.cancel_requested);
}

pub async fn a_queued_or_parked_run_is_due_at_once(world: World) {
    let queued = world.accept(world.event("1")).await;
    let lease = world.hold("2", "w").await;
    world.settle(&lease, parked(after(1_000_000))).await.unwrap();
    for run in [queued, lease.run] {
        assert_eq!(cancel(&world, run).await, CancelRequest::Requested);
    }
    // Asked for twice, still asked for.
    assert_eq!(cancel(&world, queued).await, CancelRequest::Requested);

    let claimed = world.claim("v", 10, after(5)).await;

    assert_eq!(claimed.len(), 2);
    assert!(claimed.iter().all(|claimed| claimed.run.cancel_requested));
}

pub async fn a_leased_run_stays_leased_and_its_holder_can_see_it(world: World) {
    let lease = world.hold("1", "w").await;
    assert_eq!(cancel(&world, lease.run).await, CancelRequest::Requested);
    assert!(world.claim("v", 10, after(6)).await.is_empty());
    assert_eq!(world.store.next_due().await.unwrap(), Some(LATER));
    let view = world.store.run(world.tenant, lease.run).await.unwrap().unwrap();
    assert!(view.run.cancel_requested);
    assert_eq!(view.run.state, RunState::Running);
    world.settle(&lease, succeeded()).await.unwrap();
}

pub async fn an_ended_run_says_how(world: World) {
    for state in [RunState::Succeeded, RunState::Failed, RunState::Cancelled] {
        let lease = world.hold(state.name(), "w").await;
        let next = Next::End { state, output: None, error: None };
        world.settle(&lease, next).await.unwrap();
        assert_eq!(cancel(&world, lease.run).await, CancelRequest::Ended(state));
        let view = world.store.run(world.tenant, lease.run).await.unwrap().unwrap();
        assert!(!view.run.cancel_requested);
    }
}

pub async fn a_park_does_not_hide_the_wish(world: World) {
    let lease = world.hold("1", "w").await;
    let request = world.store.request_cancel(world.tenant, lease.run, None).await;
    assert_eq!(request, Ok(CancelRequest::Requested));
    world.settle(&lease, parked(after(36_000_000))).await.unwrap();
    let claimed = world.claim("w", 1, after(200)).await;
    assert!(claimed[0].run.cancel_requested, "it is due at once");
}
