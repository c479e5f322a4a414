//! What the engine makes of a store that fails, of a process that dies and of one that is asked to
//! stop: whatever happens at any call of the store, every run ends, and an unsafe effect is never
//! repeated.

use std::time::Duration;

use crate::support::mortal::Trouble;
use crate::support::{Bench, by, eventually, soon, state, step};
use serde_json::{Value, json};
use tombolo_core::error::ErrorClass;
use tombolo_core::ports::intake::Intake;
use tombolo_core::ports::repair::Repairs;
use tombolo_core::ports::store::{Reading, RunView, StepKey, StoreError};
use tombolo_core::run::{RunState, StepState};

/// One step of each effect, an unsafe one beside them and one after them.
fn nodes() -> Value {
    json!({
        "first": {"use": "test.pure"},
        "send": {"use": "test.unsafe", "after": ["first"]},
        "beside": {"use": "test.keyed"},
        "look": {"use": "test.read", "after": ["send", "beside"]},
        "again": {"use": "test.unsafe", "after": ["look"]},
    })
}

/// No ended run has a step that goes on, and attempts of unsafe steps are one at most.
fn check(bench: &Bench, view: &RunView, what: &str) {
    assert!(state(view).ended(), "{what}");
    for row in &view.steps {
        let going = matches!(row.state, StepState::Running | StepState::Waiting);
        assert!(!going, "{what}: {} is {:?}", row.node, row.state);
        if row.state == StepState::Succeeded {
            assert!(row.output.is_some(), "{what}: {} has lost its output", row.node);
        }
    }
    for node in ["send", "again"] {
        assert!(bench.sandbox.attempts(node).len() <= 1, "{what}: {node} was repeated");
    }
    let unknown = view.steps.iter().any(|row| row.state == StepState::Unknown);
    let expected = if unknown { RunState::Failed } else { RunState::Succeeded };
    assert_eq!(state(view), expected, "{what}: {:?}", view.run.error);
}

/// Calls of the store that a run without trouble makes.
async fn calls_of_a_run() -> usize {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(nodes(), json!({})).await;
    let before = engine.store.writes();
    let run = engine.run("1").await;
    check(&bench, &bench.ended(run).await, "without trouble");
    engine.store.writes() - before
}

#[tokio::test]
async fn a_process_may_die_at_every_call_of_the_store() {
    let calls = calls_of_a_run().await;
    // Accept with the first intent, its result, a barrier, and the end with the last result.
    assert_eq!(calls, 4, "the writes of a run are counted");
    for at in 0..calls {
        for trouble in [Trouble::DiesBefore, Trouble::DiesAfter] {
            let what = format!("{trouble:?} call {at} of {calls}");
            let bench = Bench::new().await;
            let engine = bench.start().await;
            engine.apply(nodes(), json!({})).await;
            engine.store.plan(at, trouble);
            let accepting = engine.run("1");
            let accepted = tokio::select! {
                run = accepting => Some(run),
                () = engine.store.dies() => None,
            };
            engine.store.dies().await;
            engine.kill();
            let engine = bench.start().await;
            // The sender got no answer, or its run; it delivers again in both cases.
            let run = engine.run("1").await;
            assert!(accepted.is_none_or(|accepted| accepted == run), "{what}");
            check(&bench, &bench.ended(run).await, &what);
        }
    }
}

#[tokio::test]
async fn the_store_may_fail_at_every_call() {
    let calls = calls_of_a_run().await;
    let errors = [
        StoreError::Full,
        StoreError::Locked,
        StoreError::Busy { waiting: 1, limit: 1 },
        StoreError::Database("an error of the disk".to_owned()),
    ];
    // The first is the accept, whose failure the sender is told.
    for at in 1..calls {
        for error in &errors {
            let what = format!("{error} at call {at} of {calls}");
            let bench = Bench::new().await;
            let engine = bench.start().await;
            engine.apply(nodes(), json!({})).await;
            engine.store.plan(at, Trouble::Fails(error.clone()));
            let run = engine.run("1").await;
            let ended = bench.ended(run).await;
            check(&bench, &ended, &what);
            assert_eq!(state(&ended), RunState::Succeeded, "{what}: it went on");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_stored_ends_the_run_and_not_the_process() {
    let calls = calls_of_a_run().await;
    for at in 1..calls {
        let bench = Bench::new().await;
        let engine = bench.start().await;
        engine.apply(nodes(), json!({})).await;
        engine.store.plan(at, Trouble::Fails(StoreError::Refused("too big".to_owned())));
        let run = engine.run("1").await;
        let ended = bench.ended(run).await;
        assert_eq!(state(&ended), RunState::Failed, "call {at}");
        assert_eq!(ended.run.error.unwrap().code, "result-not-storable");
        assert!(ended.steps.iter().all(|step| step.state.ended()), "{:#?}", ended.steps);
    }
}

#[tokio::test]
async fn an_accept_that_fails_is_told_and_leaves_nothing() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(nodes(), json!({})).await;
    engine.store.plan(0, Trouble::Fails(StoreError::Full));
    assert_eq!(engine.try_run("1").await, Err(StoreError::Full));
    let run = engine.run("1").await;
    check(&bench, &bench.ended(run).await, "after it");
}

#[tokio::test]
async fn a_sender_that_hangs_up_leaves_a_run_that_goes_on() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.read"}}), json!({})).await;
    // Polled once: the write is on its way, and nobody waits for it any more.
    let mut accepting = Box::pin(engine.run("1"));
    assert!(futures_util::poll!(&mut accepting).is_pending());
    drop(accepting);
    let run = engine.run("1").await;
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
    assert_eq!(bench.sandbox.attempts("a").len(), 1);
}

#[tokio::test]
async fn a_stop_gives_runs_back_with_their_results_and_counts_nothing() {
    let bench = Bench::new().await;
    let mut engine = bench.start().await;
    let nodes =
        json!({"done": {"use": "test.keyed"}, "slow": {"use": "test.read", "after": ["done"]}});
    engine.apply(nodes, json!({})).await;
    let (started, _never) = bench.sandbox.hold("slow");
    let run = engine.run("1").await;
    started.await.unwrap();
    for _ in 0..bench.settings.max_claims + 2 {
        let (started, never) = bench.sandbox.hold("slow");
        engine.stop().await;
        let left = bench.store.run(bench.tenant, run).await.unwrap().unwrap();
        assert_eq!((state(&left), step(&left, "done")), (RunState::Queued, "succeeded".into()));
        engine = bench.start().await;
        started.await.unwrap();
        drop(never);
    }
    engine.stop().await;
    let _engine = bench.start().await;
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    assert_eq!(bench.sandbox.attempts("done").len(), 1);
}

#[tokio::test]
async fn a_wish_to_cancel_is_never_lost_to_a_park() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let retry = json!({"backoff": {"first": "10h", "max": "10h"}});
    engine.apply(json!({"a": {"use": "test.read", "retry": retry}}), json!({})).await;
    for n in 0..20 {
        bench.sandbox.fail("a", ErrorClass::Transient);
        let run = engine.run(&n.to_string()).await;
        engine.engine.cancel(bench.tenant, run, by()).await.unwrap();
        let ended = bench.ended(run).await;
        assert_eq!(state(&ended), RunState::Cancelled, "run {n}");
        // What was not used stands in the way of the next.
        bench.sandbox.forget("a");
    }
}

#[tokio::test]
async fn an_unsafe_step_does_not_lose_what_stands_beside_it() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let nodes =
        json!({"hello": {"use": "respond", "with": {"body": 1}}, "send": {"use": "test.unsafe"}});
    engine.apply(nodes, json!({})).await;
    for n in 0..20 {
        let run = engine.run(&n.to_string()).await;
        let ended = bench.ended(run).await;
        assert_eq!(
            (step(&ended, "hello"), step(&ended, "send")),
            ("succeeded".into(), "succeeded".into())
        );
    }
}

#[tokio::test]
async fn a_lease_that_ran_out_is_not_taken_by_its_own_process() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.unsafe"}}), json!({})).await;
    let (started, go_on) = bench.sandbox.hold("a");
    let run = engine.run("1").await;
    started.await.unwrap();
    bench.clock.forward(Duration::from_secs(3600));
    // Somebody else's run is claimed meanwhile, so the queue was looked at.
    let other = engine.run("2").await;
    bench.ended(other).await;
    go_on.send(json!(1)).unwrap();
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
    assert_eq!(bench.sandbox.attempts("a").len(), 2, "one of each run");
}

#[tokio::test]
async fn a_store_that_cannot_be_read_costs_nothing_that_is_under_way() {
    let bench = Bench::new().await;
    bench.connect("crm").await;
    let engine = bench.start().await;
    let nodes = json!({
        "send": {"use": "test.unsafe"},
        "ask": {"use": "callback", "with": {"expires": "1h"}},
        "look": {"use": "test.read", "connection": "crm", "after": ["ask"]},
    });
    engine.apply(nodes, json!({})).await;
    let (sends, sent) = bench.sandbox.hold("send");
    let (looks, looked) = bench.sandbox.hold("look");
    let run = engine.run("1").await;
    soon(sends).await.unwrap();
    // What came, and then the connection.
    engine.store.fail_reads(2);
    let ask = StepKey { node: "ask".into(), item: 0 };
    engine.engine.signal(bench.tenant, run, ask, json!(1).into(), by()).await.unwrap();
    soon(looks).await.unwrap();
    assert_eq!(engine.store.bad_reads(), 0);
    looked.send(json!(1)).unwrap();
    sent.send(json!(1)).unwrap();
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
    assert_eq!(bench.sandbox.attempts("send").len(), 1);
}

#[tokio::test]
async fn a_store_that_fails_for_too_long_gets_the_run_back_in_good_order() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let nodes = json!({
        "keyed": {"use": "test.keyed"},
        "hello": {"use": "respond", "with": {"body": 1}, "after": ["keyed"]},
        "long": {"use": "test.read"},
    });
    engine.apply(nodes, json!({})).await;
    let (long, mut never) = bench.sandbox.hold("long");
    let (keyed, done) = bench.sandbox.hold("keyed");
    let run = engine.run("1").await;
    soon(keyed).await.unwrap();
    soon(long).await.unwrap();
    engine.store.fail_writes(usize::MAX);
    done.send(json!(1)).unwrap();
    let failed = || engine.store.bad_writes() < usize::MAX;
    eventually("a write fails", async || failed().then_some(())).await;
    // The time of a lease has passed.
    bench.clock.forward(Duration::from_secs(3600));
    // What is under way is cut off.
    soon(never.closed()).await;
    engine.store.fail_writes(0);
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
    assert_eq!(bench.sandbox.attempts("keyed").len(), 1, "what it has done is not done again");
}

/// As if the process had died after it, but it goes on: nothing is written again under the same lease,
/// and whoever claims the run then sees what was made.
#[tokio::test]
async fn the_store_may_not_know_what_became_of_any_write() {
    let calls = calls_of_a_run().await;
    for at in 1..calls {
        let bench = Bench::new().await;
        let engine = bench.start().await;
        engine.apply(nodes(), json!({})).await;
        engine.store.plan(at, Trouble::DoneAndUnknown);
        let run = engine.run("1").await;
        let ended = bench
            .until(run, |view| {
                bench.clock.forward(Duration::from_millis(10));
                view.run.state.ended()
            })
            .await;
        check(&bench, &ended, &format!("call {at} of {calls}"));
        assert!(!engine.store.has_plan(), "call {at} of {calls} came");
    }
}
