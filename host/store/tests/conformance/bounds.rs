//! Bounds, bad writes, closing and opening.

use futures_util::future::{FutureExt, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::json;
use tombolo_core::id::WorkflowId;
use tombolo_core::ports::store::{Accept, StoreError};
use tombolo_core::run::RunState;
use tombolo_store::Bounds;

use crate::world::{World, done, succeeded};

/// How many of many writes are taken while the writer stands still, and what the others get.
async fn taken(world: &World, accepts: Vec<Accept>) -> (usize, Vec<StoreError>) {
    let held = world.database.hold_writes().await;
    let all = accepts.len();
    let mut answers: FuturesUnordered<_> =
        accepts.into_iter().map(|accept| world.store.accept(vec![accept])).collect();
    // The refused are answered at once, the others only after the writer may go on.
    let mut refused = Vec::new();
    while let Some(Some(answer)) = answers.next().now_or_never() {
        refused.push(answer.unwrap_err());
    }
    drop(held);
    let taken: Vec<_> = answers.collect().await;
    assert!(taken.iter().all(Result::is_ok), "{taken:?}");
    assert_eq!(taken.len() + refused.len(), all);
    (taken.len(), refused)
}

pub async fn one_more_than_may_wait_is_refused(mut world: World) {
    world.reopen(Bounds { waiting: 3, batch_rows: 1, ..Bounds::default() }).await;
    let accepts = (0..20).map(|n| world.event(&n.to_string())).collect();

    let (count, refused) = taken(&world, accepts).await;

    // Three wait; the writer holds one, and one more that did not fit into its batch.
    assert!((3..=5).contains(&count), "{count}");
    let busy = |error: &StoreError| matches!(error, StoreError::Busy { waiting: 0..=3, limit: 3 });
    assert!(refused.iter().all(busy), "{refused:?}");
    world.accept(world.event("afterwards")).await;
}

pub async fn more_bytes_than_may_wait_are_refused(mut world: World) {
    world.reopen(Bounds { waiting_bytes: 100, batch_rows: 1, ..Bounds::default() }).await;
    let large = (0..10).map(|n| {
        let mut accept = world.event(&n.to_string());
        accept.event.payload = json!("x".repeat(1000)).into();
        accept
    });

    let (count, refused) = taken(&world, large.collect()).await;

    // Alone it may be larger than the bound: one waits, and the writer holds one.
    assert!((1..=2).contains(&count), "{count}");
    let busy = |error: &StoreError| matches!(error, StoreError::Busy { limit: 4096, .. });
    assert!(refused.iter().all(busy), "{refused:?}");
    world.accept(world.event("afterwards")).await;
}

pub async fn a_bad_write_fails_alone(world: World) {
    let lease = world.hold("held", "w").await;
    let mut accepts: Vec<_> = (0..20).map(|n| world.event(&n.to_string())).collect();
    // No such workflow.
    accepts[7].runs[0].workflow = WorkflowId::new(&world.ids);
    // An id that is taken.
    accepts[11].event.id = accepts[3].event.id;
    accepts[13].runs[0].id = lease.run;
    let runs: Vec<_> = accepts.iter().map(|accept| accept.runs[0].id).collect();
    let answers = join_all(accepts.into_iter().map(|accept| world.store.accept(vec![accept])));
    let mut results = world.results(&lease, succeeded());
    results.steps = vec![done("deal", json!(1))];

    let (answers, settled) = futures_util::join!(answers, world.store.settle(results));

    assert_eq!(settled, Ok(()));
    assert_eq!(world.state(lease.run).await, RunState::Succeeded);
    for (n, answer) in answers.iter().enumerate() {
        let bad = [7, 11, 13].contains(&n);
        assert_eq!(answer.is_err(), bad, "{n}: {answer:?}");
        if !bad {
            assert_eq!(world.state(runs[n]).await, RunState::Queued);
        }
    }
    let missing = answers[7].clone().unwrap_err().to_string();
    assert!(missing.contains("workflow"), "{missing}");
}

pub async fn closing_finishes_what_waits(mut world: World) {
    let accepts: Vec<_> = (0..20).map(|n| world.event(&n.to_string())).collect();
    let runs: Vec<_> = accepts.iter().map(|accept| accept.runs[0].id).collect();
    let answers = join_all(accepts.into_iter().map(|accept| world.store.accept(vec![accept])));

    let (answers, ()) = futures_util::join!(answers, world.database.close());

    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let late = world.store.accept(vec![world.event("late")]).await;
    assert!(late.is_err());
    world.reopen(Bounds::default()).await;
    for run in runs {
        assert_eq!(world.state(run).await, RunState::Queued);
    }
}

pub async fn everything_is_there_after_reopening(mut world: World) {
    let queued = world.accept(world.event("1")).await;
    let lease = world.hold("2", "w").await;
    let mut results = world.results(&lease, succeeded());
    results.steps = vec![done("deal", json!(1))];
    world.store.settle(results).await.unwrap();
    let held = world.hold("3", "w").await;

    world.reopen(Bounds::default()).await;

    assert_eq!(world.state(queued).await, RunState::Queued);
    assert_eq!(world.state(lease.run).await, RunState::Succeeded);
    assert_eq!(world.steps(lease.run).await, [done("deal", json!(1))]);
    world.settle(&held, succeeded()).await.unwrap();
    let workflows = world.store.workflows(world.tenant).await.unwrap();
    assert_eq!(workflows[0].id, world.workflow);
}
