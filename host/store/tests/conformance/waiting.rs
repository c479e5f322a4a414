//! Parking: when a run that waits is due.

use tombolo_core::ports::store::Settle;
use tombolo_core::run::RunState;

use crate::world::{World, after, parked, waiting, waits};

pub async fn without_a_time_nothing_is_due(world: World) {
    let lease = world.hold("1", "w").await;
    world.settle(&lease, waiting(None)).await.unwrap();

    assert_eq!(world.store.next_due().await.unwrap(), None);
    let view = world.view(lease.run).await;
    assert_eq!((view.run.state, view.available_at), (RunState::Waiting, None));
    assert!(world.claim("w", 10, after(1_000_000_000_000)).await.is_empty());

    // Others are due all the same.
    let other = world.hold("2", "w").await;
    world.settle(&other, parked(after(7))).await.unwrap();
    assert_eq!(world.store.next_due().await.unwrap(), Some(after(7)));
}

pub async fn a_wish_to_end_makes_it_due(world: World) {
    let (before, later) = (world.hold("1", "w").await, world.hold("2", "w").await);
    for lease in [&before, &later] {
        if lease.run == before.run {
            world.store.request_cancel(world.tenant, lease.run, after(1)).await.unwrap();
        }
        world.settle(lease, waiting(None)).await.unwrap();
    }
    world.store.request_cancel(world.tenant, later.run, after(150)).await.unwrap();
    assert_eq!(world.claim("w", 10, after(150)).await.len(), 2);
}

pub async fn a_deadline_is_replaced(world: World) {
    let lease = world.hold("1", "w").await;
    let results = world.results(&lease, waiting(None));
    world.store.settle(results.clone()).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(world.view(lease.run).await.run.deadline, Some(after(3_600_000)));

    let lease = world.hold("2", "w").await;
    let steps = vec![waits("approval")];
    let results = world.results(&lease, waiting(None));
    let results = Settle { steps, deadline: Some(after(7_200_000)), ..results };
    world.store.settle(results).await.unwrap();
    assert_eq!(world.view(lease.run).await.run.deadline, Some(after(7_200_000)));
}
