//! Parking: when a run that waits is due.

use tombolo_core::ports::store::{Next, Settle};
use tombolo_core::run::RunState;

use crate::world::{World, after, parked, waiting};

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
    let before = world.hold("1", "w").await;
    world.store.request_cancel(world.tenant, before.run, None).await.unwrap();
    world.settle(&before, waiting(None)).await.unwrap();
    let later = world.hold("2", "w").await;
    world.settle(&later, waiting(None)).await.unwrap();
    world.store.request_cancel(world.tenant, later.run, None).await.unwrap();

    let due: Vec<_> =
        world.claim("w", 10, after(150)).await.iter().map(|claimed| claimed.run.id).collect();

    assert_eq!(due.len(), 2);
    assert!(due.contains(&before.run) && due.contains(&later.run));
}

pub async fn a_deadline_is_replaced(world: World) {
    let lease = world.hold("1", "w").await;
    world.settle(&lease, Next::Hold).await.unwrap();
    assert_eq!(world.view(lease.run).await.run.deadline, Some(after(3_600_000)));
    let results = world.results(&lease, waiting(None));
    let results = Settle { deadline: Some(after(7_200_000)), ..results };
    world.store.settle(results).await.unwrap();
    assert_eq!(world.view(lease.run).await.run.deadline, Some(after(7_200_000)));
}
