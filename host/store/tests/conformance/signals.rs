//! Signals: what comes for a step from outside is kept, once, until the run has used it.

use futures_util::future::join_all;
use serde_json::json;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Settle, Signalled, StepKey};
use tombolo_core::run::RunState;
use tombolo_store::INLINE_LIMIT_BYTES;

use crate::world::{LATER, NOW, World, after, done, ended, key, parked, waiting, waits};

pub async fn a_run_that_waits_is_due_at_once(world: World) {
    let lease = world.hold("1", "w").await;
    let steps = vec![waits("approval")];
    let results = Settle { steps, ..world.results(&lease, waiting(None)) };
    world.store.settle(results).await.unwrap();
    let signal = world.signal(lease.run, "approval", json!({ "decision": "approved" }));

    assert_eq!(world.store.signal(signal.clone(), None).await, Ok(Signalled::Kept));

    assert_eq!(world.signals(lease.run).await, std::slice::from_ref(&signal));
    assert!(world.claim("w", 10, after(199)).await.is_empty());
    let claimed = world.claim("w", 10, after(200)).await.remove(0);
    assert_eq!(claimed.signals, [signal]);
    assert_eq!(claimed.run.state, RunState::Running);
}

pub async fn one_that_comes_early_is_there_when_its_step_waits(world: World) {
    let lease = world.hold("1", "w").await;
    let signal = world.signal(lease.run, "approval", json!(1));
    assert_eq!(world.store.signal(signal.clone(), None).await, Ok(Signalled::Kept));
    // Somebody works on the run: it stays leased.
    assert_eq!(world.store.next_due().await.unwrap(), Some(LATER));
    assert!(world.claim("v", 10, after(300)).await.is_empty());

    let steps = vec![waits("approval")];
    let results = Settle { steps, ..world.results(&lease, waiting(None)) };
    world.store.settle(results).await.unwrap();

    let claimed = world.claim("w", 10, after(100)).await.remove(0);
    assert_eq!(claimed.signals, [signal]);
}

pub async fn one_for_a_step_that_does_not_wait_hurries_nothing(world: World) {
    let lease = world.hold("1", "w").await;
    for node in ["later", "done"] {
        let signal = world.signal(lease.run, node, json!(1));
        assert_eq!(world.store.signal(signal, None).await, Ok(Signalled::Kept));
    }
    let steps = vec![done("done", json!(1)), waits("backoff")];
    let results = Settle { steps, ..world.results(&lease, parked(after(5_000))) };
    world.store.settle(results).await.unwrap();
    assert!(world.claim("w", 10, after(4_999)).await.is_empty());
    let claimed = world.claim("w", 10, after(5_000)).await.remove(0);
    assert_eq!(claimed.signals.len(), 2);
}

pub async fn what_is_used_is_gone(world: World) {
    let lease = world.hold("1", "w").await;
    let other_item = StepKey { item: 2, ..key("list") };
    for step in [key("list"), StepKey { item: 1, ..key("list") }, other_item.clone()] {
        let signal = world.signal(lease.run, "list", json!(1));
        let signal = tombolo_core::ports::store::Signal { step, ..signal };
        assert_eq!(world.store.signal(signal, None).await, Ok(Signalled::Kept));
    }
    let used = vec![key("list"), StepKey { item: 1, ..key("list") }, key("none")];
    let results = Settle { used, ..world.results(&lease, parked(NOW)) };
    world.store.settle(results).await.unwrap();

    let left: Vec<StepKey> =
        world.signals(lease.run).await.into_iter().map(|signal| signal.step).collect();
    assert_eq!(left, [other_item]);
    // Used and gone, another one can come.
    let signal = world.signal(lease.run, "list", json!(2));
    assert_eq!(world.store.signal(signal, None).await, Ok(Signalled::Kept));
}

pub async fn the_first_stays(world: World) {
    let run = world.accept(world.event("1")).await;
    let first = world.signal(run, "callback", json!("first"));
    assert_eq!(world.store.signal(first.clone(), None).await, Ok(Signalled::Kept));
    let second = world.signal(run, "callback", json!("second"));
    assert_eq!(world.store.signal(second, None).await, Ok(Signalled::Taken));
    assert_eq!(world.signals(run).await, [first]);
}

pub async fn of_many_at_once_one_is_kept(world: World) {
    let run = world.accept(world.event("1")).await;
    let signals =
        (0..20).map(|n| world.store.signal(world.signal(run, "callback", json!(n)), None));

    let answers = join_all(signals).await;

    let kept: Vec<usize> = (0..20).filter(|n| answers[*n] == Ok(Signalled::Kept)).collect();
    assert_eq!(kept.len(), 1);
    let taken = answers.iter().filter(|answer| **answer == Ok(Signalled::Taken));
    assert_eq!(taken.count(), 19);
    let expected = world.signal(run, "callback", json!(kept[0]));
    assert_eq!(world.signals(run).await, [expected]);
}

pub async fn a_run_that_has_ended_takes_none(world: World) {
    for state in [RunState::Succeeded, RunState::Failed, RunState::Cancelled] {
        let lease = world.hold(state.name(), "w").await;
        world.settle(&lease, ended(state)).await.unwrap();
        let signal = world.signal(lease.run, "callback", json!(1));
        assert_eq!(world.store.signal(signal, None).await, Ok(Signalled::Ended(state)));
        assert_eq!(world.signals(lease.run).await, []);
    }
    let signal = world.signal(RunId::new(&world.ids), "callback", json!(1));
    assert_eq!(world.store.signal(signal, None).await, Ok(Signalled::Unknown));
}

pub async fn a_refused_settle_uses_none(world: World) {
    let mut lease = world.hold("1", "w").await;
    let signal = world.signal(lease.run, "callback", json!(1));
    world.store.signal(signal.clone(), None).await.unwrap();
    lease.epoch = 7;
    let used = vec![key("callback")];
    let results = Settle { used, ..world.results(&lease, parked(NOW)) };
    assert!(world.store.settle(results).await.is_err());
    assert_eq!(world.signals(lease.run).await, [signal]);
}

pub async fn a_long_body_comes_back(world: World) {
    let run = world.accept(world.event("1")).await;
    let body = json!({ "text": "\u{e9}\u{0}".repeat(INLINE_LIMIT_BYTES) });
    let signal = world.signal(run, "callback", body);
    assert_eq!(world.store.signal(signal.clone(), None).await, Ok(Signalled::Kept));
    assert_eq!(world.signals(run).await[0].body.text(), signal.body.text());
    let claimed = world.claim("w", 1, NOW).await.remove(0);
    assert_eq!(claimed.signals, [signal]);
}
