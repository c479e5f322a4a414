//! Runs that other runs start, call and repeat.

use serde_json::json;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::RunId;
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Accept, CancelRequest, Lease, Next, Parent, Settle, Signal, StepKey, StepRow,
};
use tombolo_core::run::RunState;
use tombolo_store::INLINE_LIMIT_BYTES;

use crate::world::{
    LATER, NOW, World, after, done, ended, key, parked, succeeded, waiting, waits, worker,
};

/// An event with a run that step `call` of `parent` waits for.
fn call(world: &World, parent: RunId, name: &str) -> Accept {
    let mut start = world.event(name);
    start.event.source = "workflow".to_owned();
    start.runs[0].parent = Some(Parent { run: parent, node: "call".to_owned(), item: 0 });
    start.runs[0].depth = 1;
    start
}

/// A run that has called another one and waits for it.
async fn calls(world: &World, lease: &Lease, name: &str) -> RunId {
    let start = call(world, lease.run, name);
    let child = start.runs[0].id;
    let steps = vec![StepRow { child: Some(child), ..waits("call") }];
    let results = world.results(lease, waiting(None));
    world.store.settle(Settle { steps, starts: vec![start], ..results }).await.unwrap();
    child
}

/// Claims that one run.
async fn claim(world: &World, run: RunId, owner: &str) -> Lease {
    let claimed = world.claim(owner, 100, after(150)).await;
    claimed.into_iter().find(|claimed| claimed.run.id == run).unwrap().lease
}

/// The end of a run, told to the step `call` of `parent`.
fn end_of(world: &World, lease: &Lease, parent: RunId, body: &str) -> Settle {
    let signal = world.signal(parent, "call", json!(body));
    Settle { signal: Some(signal), ..world.results(lease, succeeded()) }
}

pub async fn a_settle_starts_runs(world: World) {
    let lease = world.hold("1", "w").await;
    let start = call(&world, lease.run, "child");
    let (event, child) = (start.event.clone(), start.runs[0].id);
    let publication = world.event("published");
    let published = publication.runs[0].id;
    let steps = vec![StepRow { child: Some(child), edits: 3, ..waits("call") }];
    let results = world.results(&lease, waiting(None));
    let starts = vec![start, publication];

    world.store.settle(Settle { steps: steps.clone(), starts, ..results }).await.unwrap();

    assert_eq!(world.steps(lease.run).await, steps);
    let view = world.view(child).await;
    assert_eq!(view.run.parent, Some(Parent { run: lease.run, node: "call".into(), item: 0 }));
    assert_eq!((view.run.depth, view.run.replay_of, view.run.event), (1, None, event.id));
    assert_eq!(view.event.payload, event.payload);
    assert_eq!(view.available_at, Some(NOW));
    let view = world.view(published).await;
    assert_eq!((view.run.parent, view.run.depth), (None, 0));
    let claimed = world.claim("w", 10, NOW).await;
    let of_child = claimed.iter().find(|claimed| claimed.run.id == child).unwrap();
    assert_eq!(of_child.run.parent, Some(Parent { run: lease.run, node: "call".into(), item: 0 }));
    assert_eq!(claimed.len(), 2);
}

pub async fn a_start_that_is_known_starts_nothing_more(world: World) {
    let known = world.event("same");
    world.accept(known.clone()).await;
    let lease = world.hold("1", "w").await;
    let (again, new) = (world.event("same"), world.event("new"));
    let (none, one) = (again.runs[0].id, new.runs[0].id);
    let results = world.results(&lease, succeeded());

    world.store.settle(Settle { starts: vec![again, new], ..results }).await.unwrap();

    assert!(world.store.run(world.tenant, none).await.unwrap().is_none());
    assert_eq!(world.state(one).await, RunState::Queued);
    assert_eq!(world.state(lease.run).await, RunState::Succeeded);
}

pub async fn a_refused_settle_starts_nothing(world: World) {
    let lease = world.hold("1", "w").await;
    let stale = Lease { epoch: 7, ..lease.clone() };
    let start = call(&world, lease.run, "child");
    let child = start.runs[0].id;
    let results = world.results(&stale, succeeded());
    assert!(world.store.settle(Settle { starts: vec![start], ..results }).await.is_err());
    assert!(world.store.run(world.tenant, child).await.unwrap().is_none());
}

pub async fn the_end_of_a_called_run_lets_its_caller_go_on(world: World) {
    let lease = world.hold("1", "w").await;
    let child = calls(&world, &lease, "child").await;
    let called = claim(&world, child, "w").await;
    assert!(world.claim("w", 10, after(1_000)).await.is_empty(), "the caller waits");
    let end = end_of(&world, &called, lease.run, "done");
    let signal = end.signal.clone();

    world.store.settle(end).await.unwrap();

    let caller = world.claim("w", 10, after(200)).await.remove(0);
    assert_eq!(caller.run.id, lease.run);
    assert_eq!(caller.signals, Vec::from_iter(signal));
    assert_eq!(caller.steps[0].child, Some(child));
}

pub async fn a_later_end_replaces_an_earlier_one(world: World) {
    let lease = world.hold("1", "w").await;
    let child = calls(&world, &lease, "child").await;
    let called = claim(&world, child, "w").await;
    world.store.settle(end_of(&world, &called, lease.run, "failed")).await.unwrap();
    let again = world.opened(child, "w", after(150)).await;
    world.store.settle(end_of(&world, &again.lease, lease.run, "mended")).await.unwrap();

    let signals = world.signals(lease.run).await;
    assert_eq!(signals, [world.signal(lease.run, "call", json!("mended"))]);
}

pub async fn a_failed_run_whose_settle_says_nothing_tells_its_error(world: World) {
    let lease = world.hold("1", "w").await;
    let child = calls(&world, &lease, "child").await;
    let called = claim(&world, child, "w").await;
    let error = StepError::new(ErrorClass::Permanent, "stored-run-damaged", "it cannot be read");
    let failed = Next::End { state: RunState::Failed, output: None, error: Some(error) };
    world.settle(&called, failed).await.unwrap();
    let signals = world.signals(lease.run).await;
    assert_eq!((signals.len(), &signals[0].step), (1, &key("call")));
    let error = &signals[0].body.value()["error"];
    assert_eq!(
        (&error["code"], &error["details"]["run"]),
        (&json!("stored-run-damaged"), &json!(child))
    );
    assert!(world.claim("w", 10, after(1_000)).await.iter().any(|one| one.run.id == lease.run));
}

pub async fn a_caller_that_needs_no_answer_is_told_nothing(world: World) {
    // One has ended, one has called another run since, and one is gone.
    let cancelled = world.hold("1", "w").await;
    let first = calls(&world, &cancelled, "first").await;
    let lease = world.opened(cancelled.run, "w", after(150)).await.lease;
    world.settle(&lease, ended(RunState::Cancelled)).await.unwrap();

    let busy = world.hold("2", "w").await;
    let second = calls(&world, &busy, "second").await;
    let lease = world.opened(busy.run, "w", after(150)).await.lease;
    let another = calls(&world, &lease, "another").await;

    let gone = RunId::new(&world.ids);
    let third = world.hold("3", "w").await;
    let leases = world.claim("w", 10, after(150)).await;
    let lease_of = |run| leases.iter().find(|claimed| claimed.run.id == run).unwrap().lease.clone();
    for (lease, parent) in
        [(lease_of(first), cancelled.run), (lease_of(second), busy.run), (third, gone)]
    {
        world.store.settle(end_of(&world, &lease, parent, "late")).await.unwrap();
        assert_eq!(world.signals(parent).await, []);
    }
    assert!(world.claim("w", 10, after(1_000)).await.is_empty());

    world.store.settle(end_of(&world, &lease_of(another), busy.run, "right")).await.unwrap();
    assert_eq!(world.signals(busy.run).await.len(), 1);
}

/// Three runs that each call the next, and one beside them.
async fn chain(world: &World) -> [RunId; 4] {
    let first = world.hold("first", "w").await;
    let second = calls(world, &first, "second").await;
    let lease = claim(world, second, "w").await;
    let third = calls(world, &lease, "third").await;
    let beside = world.accept(world.event("beside")).await;
    [first.run, second, third, beside]
}

async fn wishes(world: &World, runs: &[RunId]) -> Vec<bool> {
    let mut wishes = Vec::new();
    for run in runs {
        wishes.push(world.view(*run).await.run.cancel_requested);
    }
    wishes
}

pub async fn a_wish_to_end_reaches_the_runs_that_are_waited_for(world: World) {
    let runs = chain(&world).await;
    let held = claim(&world, runs[2], "w").await;

    let answer = world.store.request_cancel(world.tenant, runs[0], None).await;

    assert_eq!(answer, Ok(CancelRequest::Requested));
    assert_eq!(wishes(&world, &runs).await, [true, true, true, false]);
    let due = world.claim("v", 10, after(160)).await;
    assert!(due.iter().all(|claimed| claimed.run.id != held.run), "somebody works on the third");
    assert_eq!(due.iter().filter(|claimed| claimed.run.cancel_requested).count(), 2);

    // From the middle it goes down and not up.
    let [one, two, three, _] = chain_again(&world).await;
    world.store.request_cancel(world.tenant, two, None).await.unwrap();
    assert_eq!(wishes(&world, &[one, two, three]).await, [false, true, true]);
}

async fn chain_again(world: &World) -> [RunId; 4] {
    let first = world.hold("again-1", "w").await;
    let second = calls(world, &first, "again-2").await;
    let lease = claim(world, second, "w").await;
    let third = calls(world, &lease, "again-3").await;
    [first.run, second, third, third]
}

pub async fn so_does_the_end_of_a_cancelled_run(world: World) {
    let runs = chain(&world).await;
    let lease = world.opened(runs[0], "w", after(150)).await.lease;
    world.settle(&lease, ended(RunState::Cancelled)).await.unwrap();
    assert_eq!(wishes(&world, &runs).await, [false, true, true, false]);

    for state in [RunState::Failed, RunState::Succeeded] {
        let lease = world.hold(state.name(), "w").await;
        let name = format!("child-{}", state.name());
        let child = calls(&world, &lease, &name).await;
        let lease = world.opened(lease.run, "w", after(150)).await.lease;
        world.settle(&lease, ended(state)).await.unwrap();
        assert_eq!(wishes(&world, &[child]).await, [false]);
    }
}

pub async fn a_called_run_that_has_ended_stays_as_it_is(world: World) {
    let lease = world.hold("1", "w").await;
    let child = calls(&world, &lease, "child").await;
    let called = claim(&world, child, "w").await;
    world.settle(&called, succeeded()).await.unwrap();
    world.store.request_cancel(world.tenant, lease.run, None).await.unwrap();
    let view = world.view(child).await;
    assert_eq!((view.run.state, view.run.cancel_requested), (RunState::Succeeded, false));
}

pub async fn a_replay_begins_with_the_steps_it_takes_over(world: World) {
    let old = world.accept(world.event("old")).await;
    let long = json!({ "text": "x".repeat(2 * INLINE_LIMIT_BYTES) });
    let mut replay = world.event("replay");
    let steps = vec![done("a", json!(1)), done("b", long)];
    replay.runs[0].replay_of = Some(old);
    replay.runs[0].steps = steps.clone();
    // A known event brings nothing.
    let again = replay.clone();
    let run = world.accept(replay).await;
    world.store.accept(vec![again]).await.unwrap();

    let claimed = world.claim("w", 10, NOW).await;

    let claimed = claimed.iter().find(|claimed| claimed.run.id == run).unwrap();
    assert_eq!(claimed.run.replay_of, Some(old));
    assert_eq!(claimed.steps, steps);
    assert_eq!(world.steps(run).await, steps);
    assert_eq!((claimed.lease.epoch, claimed.claims), (NOW.0, 1));
}

pub async fn what_starts_with_a_lease_is_leased(world: World) {
    let lease = world.hold("1", "w").await;
    let start = world.leased("child", "w", LATER);
    let child = start.runs[0].id;
    let results = world.results(&lease, parked(LATER));
    world.store.settle(Settle { starts: vec![start], ..results }).await.unwrap();
    assert_eq!(world.state(child).await, RunState::Running);
    let leased = Lease { run: child, owner: worker("w"), epoch: 1 };
    let output = Some(Json::from_value(json!(1)));
    let end = Next::End { state: RunState::Succeeded, output, error: None };
    let item = StepKey { item: 4, ..key("call") };
    let signal = Signal { step: item, ..world.signal(lease.run, "call", json!(1)) };
    let results = Settle { signal: Some(signal.clone()), ..world.results(&leased, end) };
    world.store.settle(results).await.unwrap();
    assert_eq!(world.signals(lease.run).await, [signal]);
}
