//! State of nodes: compare and set with the settle.

use futures_util::future::join_all;
use serde_json::json;
use tombolo_core::json::Json;
use tombolo_core::ports::sandbox::StateWrite;
use tombolo_core::ports::store::{Lease, Next, Settle, StateChange, StoreError};

use crate::world::{World, done, workflow};

/// A write of a node.
type Change = (String, StateWrite);

fn change(node: &str, key: &str, expected: u64, value: i64) -> Change {
    let value = Json::from_value(json!(value));
    (node.to_owned(), StateWrite { key: key.to_owned(), expected, value })
}

fn results(world: &World, lease: &Lease, changes: Vec<Change>) -> Settle {
    let workflow = world.workflow;
    let change = |(node, write)| StateChange { workflow, node, write };
    let state = changes.into_iter().map(change).collect();
    Settle { state, ..world.results(lease, Next::Hold) }
}

async fn read(world: &World, node: &str, key: &str) -> Option<(i64, u64)> {
    let entry = world.store.node_state(world.tenant, world.workflow, node, key).await.unwrap();
    entry.map(|(value, version)| (value.value().as_i64().unwrap(), version))
}

pub async fn is_committed_with_the_settle(world: World) {
    let lease = world.hold("1", "w").await;
    assert_eq!(read(&world, "poll", "cursor").await, None);
    let settle = results(&world, &lease, vec![change("poll", "cursor", 0, 10)]);
    world.store.settle(settle).await.unwrap();
    assert_eq!(read(&world, "poll", "cursor").await, Some((10, 1)));
    let settle = results(&world, &lease, vec![change("poll", "cursor", 1, 20)]);
    world.store.settle(settle).await.unwrap();
    assert_eq!(read(&world, "poll", "cursor").await, Some((20, 2)));
}

pub async fn a_conflict_writes_nothing_at_all(world: World) {
    let lease = world.hold("1", "w").await;
    let settle = results(&world, &lease, vec![change("poll", "cursor", 0, 10)]);
    world.store.settle(settle).await.unwrap();
    for expected in [0, 2] {
        let changes = vec![change("poll", "other", 0, 1), change("poll", "cursor", expected, 99)];
        let mut settle = results(&world, &lease, changes);
        settle.steps = vec![done("poll", json!(1))];
        let conflict =
            StoreError::StateConflict { node: "poll".to_owned(), key: "cursor".to_owned() };
        assert_eq!(world.store.settle(settle).await, Err(conflict));
    }
    assert_eq!(read(&world, "poll", "cursor").await, Some((10, 1)));
    assert_eq!(read(&world, "poll", "other").await, None);
    assert!(world.steps(lease.run).await.is_empty());
}

pub async fn a_settle_may_change_an_entry_twice(world: World) {
    let lease = world.hold("1", "w").await;
    let changes = vec![change("poll", "cursor", 0, 1), change("poll", "cursor", 1, 2)];
    world.store.settle(results(&world, &lease, changes)).await.unwrap();
    assert_eq!(read(&world, "poll", "cursor").await, Some((2, 2)));
}

pub async fn of_two_writers_of_a_version_one_wins(world: World) {
    let mut leases = Vec::new();
    for n in 0..10 {
        leases.push(world.hold(&n.to_string(), "w").await);
    }
    let settles = leases.iter().enumerate().map(|(n, lease)| {
        let state = vec![change("poll", "cursor", 0, n as i64)];
        world.store.settle(results(&world, lease, state))
    });

    let answers = join_all(settles).await;

    let winners: Vec<usize> = (0..10).filter(|n| answers[*n].is_ok()).collect();
    assert_eq!(winners.len(), 1);
    let conflicts = answers
        .iter()
        .filter(|answer| matches!(answer, Err(StoreError::StateConflict { .. })))
        .count();
    assert_eq!(conflicts, 9);
    assert_eq!(read(&world, "poll", "cursor").await, Some((winners[0] as i64, 1)));
}

pub async fn is_per_workflow_node_and_key(world: World) {
    let lease = world.hold("1", "w").await;
    let changes = vec![change("a", "k", 0, 1), change("a", "l", 0, 2), change("b", "k", 0, 3)];
    world.store.settle(results(&world, &lease, changes)).await.unwrap();
    assert_eq!(read(&world, "a", "k").await, Some((1, 1)));
    assert_eq!(read(&world, "a", "l").await, Some((2, 1)));
    assert_eq!(read(&world, "b", "k").await, Some((3, 1)));
    let other = workflow(&*world.store, &world.ids, world.tenant, "other").await;
    let entry = world.store.node_state(world.tenant, other, "a", "k").await;
    assert_eq!(entry.unwrap(), None);
}
