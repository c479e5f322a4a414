//! What belongs to no run: events that nobody took, and notes of runs that wait no more.

use serde_json::json;
use tombolo_core::id::EventId;
use tombolo_core::ports::store::Accepted;
use tombolo_core::run::RunState;
use tombolo_store::INLINE_LIMIT_BYTES;

use crate::connections::{connect, refused, resume};
use crate::world::{World, after, ended};

/// An event that nobody takes.
async fn lonely(world: &World, key: &str, ms: i64) -> EventId {
    let mut accept = world.event(key);
    accept.runs.clear();
    accept.event.received_at = after(ms);
    accept.event.payload = json!({ key: "x".repeat(INLINE_LIMIT_BYTES) }).into();
    let accepted = world.store.accept(vec![accept]).await.unwrap().remove(0);
    assert!(matches!(accepted, Accepted::New { .. }), "{accepted:?}");
    accepted.event()
}

async fn is_there(world: &World, event: EventId) -> bool {
    world.store.event(world.tenant, event).await.unwrap().is_some()
}

pub async fn old_events_without_runs_go_the_oldest_first(world: World) {
    let second = lonely(&world, "2", 20).await;
    let first = lonely(&world, "1", 10).await;
    let third = lonely(&world, "3", 30).await;
    let with_run = world.event("4");
    let taken = with_run.event.id;
    world.accept(with_run).await;
    let forget = |ms, limit| world.store.forget_events(after(ms), limit);

    assert_eq!(forget(10, 10).await, Ok(0));
    assert_eq!(forget(30, 1).await, Ok(1));
    assert!(!is_there(&world, first).await && is_there(&world, second).await);
    assert_eq!(forget(30, 10).await, Ok(1));
    assert!(!is_there(&world, second).await && is_there(&world, third).await);
    assert_eq!(forget(1_000_000, 10).await, Ok(1));
    assert!(is_there(&world, taken).await, "it has a run");

    assert_eq!(world.store.sweep_payloads(None, 10).await.unwrap().deleted, 3);
    let again = lonely(&world, "1", 40).await;
    assert_ne!(again, first, "its key is new");
}

pub async fn whoever_has_ended_waits_for_no_connection(world: World) {
    connect(&world, "crm").await;
    let over = refused(&world, "1", &["crm"]).await;
    refused(&world, "2", &["crm"]).await;
    assert_eq!(world.store.forget_waits(10).await, Ok(0));
    let lease = world.opened(over.run, "w", after(10)).await.lease;
    world.settle(&lease, ended(RunState::Cancelled)).await.unwrap();
    assert_eq!(world.store.forget_waits(10).await, Ok(1));
    assert_eq!(world.store.forget_waits(10).await, Ok(0));
    assert_eq!(resume(&world, "crm", after(20)).await, Some(1), "the other one still waits");
}
