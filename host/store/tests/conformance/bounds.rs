//! Bounds, bad writes, closing and opening.

use futures_util::future::join_all;
use serde_json::json;
use tombolo_core::id::WorkflowId;
use tombolo_core::ports::store::StoreError;
use tombolo_core::run::RunState;
use tombolo_store::Bounds;

use crate::world::{World, done, succeeded};

pub async fn one_more_than_may_wait_is_refused(mut world: World) {
    let bounds = Bounds { waiting: 3, ..Bounds::default() };
    world.reopen(bounds).await;
    let accepts: Vec<_> = (0..20).map(|n| world.event(&n.to_string())).collect();
    let answers = accepts.into_iter().map(|accept| world.store.accept(vec![accept]));

    // On one thread all twenty ask before the writer takes the first.
    let answers = join_all(answers).await;

    let busy = answers
        .iter()
        .filter(|answer| **answer == Err(StoreError::Busy { waiting: 3, limit: 3 }))
        .count();
    let stored = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!((stored, busy), (3, 17));
    world.accept(world.event("afterwards")).await;

    let bounds = Bounds { waiting_bytes: 100, ..Bounds::default() };
    world.reopen(bounds).await;
    let mut large = world.event("large");
    large.event.payload = json!("x".repeat(1000)).into();
    let mut second = world.event("second");
    second.event.payload = json!("x".repeat(1000)).into();
    let answers = [world.store.accept(vec![large]), world.store.accept(vec![second])];
    let answers = join_all(answers).await;
    assert!(answers[0].is_ok(), "alone, it may be larger than the bound");
    assert!(matches!(answers[1], Err(StoreError::Busy { waiting: 1, .. })));
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
