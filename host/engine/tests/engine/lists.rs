//! For-each nodes on a real store.

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::ports::intake::Answer;
use tombolo_core::ports::repair::{Repairs, ReplayOrder};
use tombolo_core::ports::store::RunView;
use tombolo_core::run::{From, RepeatedItems, RunState, StepState};

use crate::support::{Bench, Script, by, replay_of, soon, state, step};

fn list(policy: &str, limit: u32, count: u32) -> Value {
    let items: Vec<u32> = (0..count).collect();
    json!({
        "source": {"use": "set", "with": {"items": items}},
        "list": {
            "use": "test.keyed", "after": ["source"], "with": {"n": "${ .item }", "at": "${ .index }"},
            "each": {"items": "${ .steps.source.items }", "limit": limit, "on_item_error": policy},
            "retry": {"backoff": {"first": "1ms"}},
        },
        "after": {"use": "set", "after": ["list"], "with": {"all": "${ .steps.list }"}},
    })
}

fn items(view: &RunView) -> Vec<(u32, StepState)> {
    let mut items: Vec<_> = view
        .steps
        .iter()
        .filter(|step| step.node == "list" && step.item > 0)
        .map(|step| (step.item, step.state))
        .collect();
    items.sort_unstable_by_key(|(item, _)| *item);
    items
}

#[tokio::test]
async fn every_item_is_a_step_of_its_own_and_the_output_is_the_list() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(list("fail", 2, 5), json!({})).await;
    let Answer::Ready { status: 200, body, .. } = engine.run_and_wait("1").await else { panic!() };
    let expected: Vec<Value> = (0..5).map(|n| json!({"n": n, "at": n})).collect();
    assert_eq!(body.value(), &json!({ "all": expected }));
    let keys: std::collections::BTreeSet<String> =
        bench.sandbox.attempts("list").into_iter().map(|(_, key)| key).collect();
    assert_eq!(keys.len(), 5, "every item has an idempotency key of its own");
}

#[tokio::test]
async fn no_more_items_than_the_limit_at_a_time() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(list("fail", 2, 3), json!({})).await;
    let (first_started, first) = bench.sandbox.hold("list");
    let (second_started, second) = bench.sandbox.hold("list");
    let (mut third_started, third) = bench.sandbox.hold("list");
    let run = engine.run("1").await;
    first_started.await.unwrap();
    second_started.await.unwrap();
    assert!(third_started.try_recv().is_err(), "two at a time");
    second.send(json!(2)).unwrap();
    third_started.await.unwrap();
    first.send(json!(1)).unwrap();
    third.send(json!(3)).unwrap();
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
}

#[tokio::test]
async fn a_restart_in_the_middle_goes_on_where_it_was() {
    let mut bench = Bench::new().await;
    // Whatever has ended is stored as soon as its run waits for something else.
    bench.settings.concurrent_runs = 1;
    let engine = bench.start().await;
    engine.apply(list("fail", 1, 4), json!({})).await;
    // The second item waits for a retry: the first is stored, and so are those after it.
    bench.sandbox.next("list", Script::Echo);
    bench.sandbox.fail("list", ErrorClass::Transient);
    let run = engine.run("1").await;
    let parked = bench.until(run, |view| state(view) == RunState::Waiting).await;
    use StepState::{Succeeded, Waiting};
    assert_eq!(items(&parked), [(1, Succeeded), (2, Waiting), (3, Succeeded), (4, Succeeded)]);
    engine.kill();

    bench.start().await;
    bench.clock.forward(Duration::from_millis(5));
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    assert_eq!(bench.sandbox.attempts("list").len(), 5, "only the second was tried again");
}

#[tokio::test]
async fn one_bad_item_does_not_sink_the_rest() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(list("collect", 1, 3), json!({})).await;
    bench.sandbox.next("list", Script::Echo);
    let broken = StepError::new(ErrorClass::Permanent, "no-such-thing", "there is none");
    bench.sandbox.next("list", Script::Fail(broken));
    let Answer::Ready { status: 200, body, .. } = engine.run_and_wait("1").await else { panic!() };
    let all = &body.value()["all"];
    assert_eq!((&all[0]["n"], &all[2]["n"]), (&json!(0), &json!(2)));
    assert_eq!(all[1]["error"]["code"], "no-such-thing");
}

#[tokio::test]
async fn ten_thousand_items_show_their_progress_and_end() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(list("fail", 100, 10_000), json!({})).await;
    let run = engine.run("1").await;
    let half_way = bench.until(run, |view| view.run.state.ended() || items(view).len() > 100).await;
    assert!(!half_way.run.state.ended(), "progress shows before the end");
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    assert_eq!(items(&ended).len(), 10_000);
    let all = ended.run.output.unwrap();
    assert_eq!(all.value()["all"][9_999]["n"], 9_999);
    assert_eq!(step(&bench.ended(run).await, "list"), "succeeded");
}

#[tokio::test]
async fn a_list_that_is_none_or_too_long_is_refused() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    for (items, code) in
        [(json!({"a": 1}), "each-not-a-list"), (json!(vec![0; 10_001]), "too-many-items")]
    {
        let nodes = json!({
            "source": {"use": "set", "with": {"items": items}},
            "list": {"use": "set", "after": ["source"], "each": {"items": "${ .steps.source.items }"}},
        });
        engine.apply(nodes, json!({})).await;
        let run = engine.run(code).await;
        let ended = bench.ended(run).await;
        assert_eq!(ended.run.error.unwrap().code, code);
    }
}

#[tokio::test]
async fn a_replay_goes_on_with_the_items_that_are_not_done() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(list("fail", 1, 3), json!({})).await;
    bench.sandbox.next("list", Script::Echo);
    bench.sandbox.fail("list", ErrorClass::Permanent);
    let run = engine.run("1").await;
    assert_eq!(state(&bench.ended(run).await), RunState::Failed);
    let order = ReplayOrder { from: From::Failed, ..replay_of(&bench, run) };
    let plan = engine.engine.plan_replay(&order).await.unwrap();
    assert_eq!(plan.takes_over, ["source"], "the list is not done");
    let counted = RepeatedItems { again: 2, done: 1, unknown: 0 };
    assert_eq!(plan.repeats[0].items, Some(counted));
    let (new, _) = engine.engine.replay(order, by()).await.unwrap();
    let ended = bench.ended(new).await;
    let expected: Vec<Value> = (0..3).map(|n| json!({"n": n, "at": n})).collect();
    assert_eq!(ended.run.output.unwrap().value(), &json!({ "all": expected }));
    assert_eq!(bench.sandbox.attempts("list").len(), 4, "two before, two again");
}

#[tokio::test]
async fn a_list_is_durable_before_anything_is_called_under_its_keys() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let nodes = json!({
        "source": {"use": "test.read"},
        "list": {
            "use": "test.keyed", "after": ["source"], "with": {"id": "${ .item }"},
            "each": {"items": "${ .steps.source.ids }", "limit": 1},
        },
    });
    engine.apply(nodes, json!({})).await;
    let (source, gives) = bench.sandbox.hold("source");
    let (item, _never) = bench.sandbox.hold("list");
    let run = engine.run("1").await;
    soon(source).await.unwrap();
    gives.send(json!({"ids": ["a", "b"]})).unwrap();
    soon(item).await.unwrap();
    engine.kill();

    // Asked again, the source would say something else.
    let (_asked_again, gives) = bench.sandbox.hold("source");
    gives.send(json!({"ids": ["z", "a", "b"]})).unwrap();
    bench.start().await;
    let ended = bench.ended(run).await;
    assert_eq!(ended.run.output.unwrap().value(), &json!([{"id": "a"}, {"id": "b"}]));
}
