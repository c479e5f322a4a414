//! What people do with runs that do not go on, on a real store.

use std::time::Duration;

use serde_json::json;
use tombolo_core::error::ErrorClass;
use tombolo_core::ports::repair::{RepairError, Repairs, ReplayOrder, VersionChoice};
use tombolo_core::ports::store::{LetterBox, LetterFilter, Reading, StepKey};
use tombolo_core::run::{CannotRepair, From, Redrive, RunState};

use crate::support::{Bench, Script, by, replay_of, state, step};

fn key(node: &str) -> StepKey {
    StepKey { node: node.into(), item: 0 }
}

async fn letters(bench: &Bench) -> Vec<String> {
    let all = bench.store.letters(bench.tenant, &LetterFilter::default(), None, 10).await.unwrap();
    all.into_iter().map(|letter| letter.step.node).collect()
}

#[tokio::test]
async fn a_redrive_goes_on_at_the_dead_step_and_repeats_nothing_else() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply(
            json!({"a": {"use": "test.keyed"}, "b": {"use": "test.keyed", "after": ["a"]}, "c": {"use": "test.keyed", "after": ["b"]}}),
            json!({"timeout": "1h"}),
        )
        .await;
    bench.sandbox.next("a", Script::Echo);
    bench.sandbox.fail("b", ErrorClass::Permanent);
    let run = engine.run("1").await;
    assert_eq!(state(&bench.ended(run).await), RunState::Failed);
    assert_eq!(letters(&bench).await, ["b"]);
    // Long after: the run gets a new deadline.
    bench.clock.forward(Duration::from_secs(7200));
    let redriven =
        engine.engine.redrive(bench.tenant, run, Redrive::default(), by()).await.unwrap();
    assert_eq!(redriven.steps, [key("b")]);
    let ended = bench.until(run, |view| state(view) == RunState::Succeeded).await;
    assert_eq!(step(&ended, "c"), "succeeded");
    assert_eq!(ended.run.error, None);
    let attempts = |node: &str| bench.sandbox.attempts(node).len();
    assert_eq!((attempts("a"), attempts("b"), attempts("c")), (1, 2, 1));
    assert_eq!(bench.sandbox.attempts("b")[0].1, bench.sandbox.attempts("b")[1].1, "one key");
    assert_eq!(letters(&bench).await, Vec::<String>::new());
    let audit = bench.store.audit(bench.tenant, 10, None).await.unwrap();
    let told: Vec<&str> = audit.iter().map(|(_, entry)| &*entry.action).collect();
    assert_eq!(told, ["step-redriven", "workflow-applied"]);
    assert_eq!(audit[0].1.correlation_id.as_deref(), Some("c1"));
    let again = engine.engine.redrive(bench.tenant, run, Redrive::default(), by()).await;
    assert!(matches!(again, Err(RepairError::Cannot(_))), "{again:?}");
}

#[tokio::test]
async fn an_edited_input_is_run_under_a_key_of_its_own_and_the_old_one_is_kept() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.keyed", "with": {"n": 1}}}), json!({})).await;
    bench.sandbox.fail("a", ErrorClass::InvalidInput);
    let run = engine.run("1").await;
    bench.ended(run).await;
    let redrive = Redrive {
        step: Some(key("a")),
        input: Some(json!({"n": 2}).into()),
        forget_calls: true,
        repeat_unknown: false,
    };
    engine.engine.redrive(bench.tenant, run, redrive, by()).await.unwrap();
    let ended = bench.until(run, |view| state(view) == RunState::Succeeded).await;
    assert_eq!(ended.run.output.unwrap().value(), &json!({"n": 2}));
    let keys = bench.sandbox.attempts("a");
    assert_ne!(keys[0].1, keys[1].1);
    let audit = bench.store.audit(bench.tenant, 1, None).await.unwrap();
    assert_eq!(audit[0].1.detail["old_input"], json!({"n": 1}));
}

#[tokio::test]
async fn what_nobody_knows_is_resolved_by_a_person() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply(json!({"send": {"use": "test.unsafe"}, "then": {"use": "set", "after": ["send"], "with": {"id": "${ .steps.send.id }"}}}), json!({}))
        .await;
    let (started, _never) = bench.sandbox.hold("send");
    let run = engine.run("1").await;
    started.await.unwrap();
    engine.kill();
    let engine = bench.start().await;
    bench.ended(run).await;
    let blind = engine.engine.redrive(bench.tenant, run, Redrive::default(), by()).await;
    let Err(RepairError::Cannot(why)) = blind else { panic!("{blind:?}") };
    assert!(matches!(why, CannotRepair::Unknown { .. }), "{why}");
    let output = json!({"id": 7}).into();
    engine.engine.resolve(bench.tenant, run, key("send"), output, by()).await.unwrap();
    let ended = bench.until(run, |view| state(view) == RunState::Succeeded).await;
    assert_eq!(ended.run.output.unwrap().value(), &json!({"id": 7}));
    assert_eq!(bench.sandbox.attempts("send").len(), 1);
}

#[tokio::test]
async fn a_discarded_letter_is_given_up_and_its_run_stays_failed() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.read"}}), json!({})).await;
    bench.sandbox.fail("a", ErrorClass::Permanent);
    let run = engine.run("1").await;
    bench.ended(run).await;
    engine.engine.discard(bench.tenant, run, key("a"), by()).await.unwrap();
    assert_eq!(letters(&bench).await, Vec::<String>::new());
    assert_eq!(bench.store.letter_count(bench.tenant).await, Ok(0));
    assert_eq!(state(&bench.ended(run).await), RunState::Failed);
    let given_up = LetterFilter { discarded: true, ..LetterFilter::default() };
    let kept = bench.store.letters(bench.tenant, &given_up, None, 10).await.unwrap();
    assert_eq!(kept[0].discarded.as_ref().unwrap().1, "mended");
}

#[tokio::test]
async fn a_redrive_of_a_caller_goes_on_in_the_run_it_called() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply_as(
            "child",
            json!({"once": {"use": "test.keyed"}, "work": {"use": "test.keyed", "after": ["once"]}}),
            json!({}),
        )
        .await;
    engine.apply(json!({"call": {"use": "workflow", "with": {"name": "child"}}}), json!({})).await;
    bench.sandbox.next("once", Script::Echo);
    bench.sandbox.fail("work", ErrorClass::Permanent);
    let run = engine.run("1").await;
    let failed = bench.ended(run).await;
    let child = failed.steps[0].child.unwrap();
    engine.engine.redrive(bench.tenant, run, Redrive::default(), by()).await.unwrap();
    let ended = bench.until(run, |view| state(view) == RunState::Succeeded).await;
    assert_eq!(ended.steps[0].child, Some(child), "the same run");
    assert_eq!(bench.sandbox.attempts("once").len(), 1);
    assert_eq!(bench.sandbox.attempts("work").len(), 2);
}

#[tokio::test]
async fn a_replay_says_what_it_repeats_and_is_a_run_of_its_own() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let nodes = json!({"a": {"use": "test.read"}, "b": {"use": "test.keyed", "after": ["a"]}});
    engine.apply(nodes.clone(), json!({})).await;
    bench.sandbox.fail("b", ErrorClass::Permanent);
    let run = engine.run("1").await;
    bench.ended(run).await;
    let mut newer = nodes;
    newer["c"] = json!({"use": "set", "after": ["b"], "with": {"id": "${ .trigger.id }"}});
    engine.apply(newer, json!({})).await;
    let order = |from, version| ReplayOrder {
        from,
        version,
        dedupe_key: Some("one".into()),
        ..replay_of(&bench, run)
    };
    let planned =
        engine.engine.plan_replay(&order(From::Failed, Some(VersionChoice::Latest))).await;
    let planned = planned.unwrap();
    assert_eq!((planned.version, planned.takes_over), (2, vec!["a".to_owned()]));
    assert_eq!((planned.repeats[0].node.as_str(), planned.repeats[0].effect), ("b", "keyed"));

    let latest = || order(From::Failed, Some(VersionChoice::Latest));
    let (new, _) = engine.engine.replay(latest(), by()).await.unwrap();
    let (same, _) = engine.engine.replay(latest(), by()).await.unwrap();
    assert_eq!(new, same, "one order is one run");
    let ended = bench.ended(new).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    assert_eq!((ended.run.replay_of, ended.run.version), (Some(run), 2));
    assert_eq!(ended.run.output.unwrap().value(), &json!({"id": "1"}));
    assert_eq!(bench.sandbox.attempts("a").len(), 1, "taken over");
    let keys = bench.sandbox.attempts("b");
    assert_ne!(keys[0].1, keys[1].1, "another run, another key");

    let whole = ReplayOrder { dedupe_key: None, ..order(From::Start, None) };
    let (third, _) = engine.engine.replay(whole, by()).await.unwrap();
    assert_eq!(state(&bench.ended(third).await), RunState::Succeeded);
    assert_eq!(bench.sandbox.attempts("a").len(), 2);
}

#[tokio::test]
async fn a_run_that_goes_on_is_neither_repaired_nor_replayed() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.read"}}), json!({})).await;
    let (started, go_on) = bench.sandbox.hold("a");
    let run = engine.run("1").await;
    started.await.unwrap();
    let order = replay_of(&bench, run);
    let error = engine.engine.replay(order, by()).await.unwrap_err();
    assert!(matches!(error, RepairError::NotEnded(_)), "{error:?}");
    let error = engine.engine.redrive(bench.tenant, run, Redrive::default(), by()).await;
    assert!(error.is_err());
    go_on.send(json!(1)).unwrap();
    bench.ended(run).await;
}

#[tokio::test]
async fn a_host_that_dies_in_a_repair_leaves_the_run_as_it_was_or_repaired() {
    for after in 0..2 {
        let bench = Bench::new().await;
        let engine = bench.start().await;
        engine.apply(json!({"a": {"use": "test.keyed"}}), json!({})).await;
        bench.sandbox.fail("a", ErrorClass::Permanent);
        let run = engine.run("1").await;
        bench.ended(run).await;
        engine.store.plan(after, crate::support::mortal::Trouble::DiesAfter);
        let redrive = engine.engine.redrive(bench.tenant, run, Redrive::default(), by());
        let cut_off = tokio::time::timeout(Duration::from_millis(200), redrive).await;
        assert!(cut_off.is_err(), "the process died");

        let engine = bench.start().await;
        let ended = bench.ended(run).await;
        if state(&ended) == RunState::Failed {
            assert_eq!(letters(&bench).await, ["a"], "nothing was repaired");
            engine.engine.redrive(bench.tenant, run, Redrive::default(), by()).await.unwrap();
        }
        bench.until(run, |view| state(view) == RunState::Succeeded).await;
        assert_eq!(letters(&bench).await, Vec::<String>::new());
    }
}
