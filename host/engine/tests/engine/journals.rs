//! Journals of steps that make several calls: kept as long as there may be another attempt.

use serde_json::json;
use tombolo_core::error::ErrorClass;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Claim, Claimed, Journaled, RunLog, Wanted, WorkerId};
use tombolo_core::run::RunState;

use crate::support::scripted::Changes;
use crate::support::{Bench, HOUR, Running, Script, state};

/// Three changes, of which the third is refused once.
const THREE: [Script; 2] = [
    Script::Changes(Changes { calls: 3, fails_at: Some(2) }),
    Script::Changes(Changes { calls: 3, fails_at: None }),
];

async fn engine(bench: &Bench) -> Running {
    let engine = bench.start().await;
    let retry = json!({"attempts": 3, "backoff": {"first": "1h"}});
    let nodes = json!({
        "several": {"use": "test.unsafe", "retry": retry},
        "then": {"use": "test.read", "after": ["several"], "retry": retry},
    });
    engine.apply(nodes, json!({})).await;
    for script in THREE {
        bench.sandbox.next("several", script);
    }
    engine
}

/// The journal as the next process would be given it.
async fn journal(bench: &Bench, run: RunId) -> Vec<Journaled> {
    bench.store.take_over(bench.clock_now()).await.unwrap();
    let now = bench.clock_now();
    let claim = Claim {
        worker: WorkerId("who looks".into()),
        limit: 1,
        now: now.plus(HOUR * 2),
        until: now.plus(HOUR * 3),
        held: Vec::new(),
        wanted: Wanted::Due { suspects: 1 },
        turns: None,
    };
    match bench.store.claim(claim).await.unwrap().remove(0) {
        Claimed::Run(claimed) => {
            assert_eq!(claimed.run.id, run);
            claimed.journal
        }
        Claimed::Damaged { reason, .. } => panic!("{reason}"),
    }
}

#[tokio::test]
async fn each_call_is_made_once_though_the_process_dies_between_the_attempts() {
    let bench = Bench::new().await;
    let first = engine(&bench).await;
    let run = first.run("1").await;
    bench.until(run, |view| state(view) == RunState::Waiting).await;
    first.kill();
    let kept = journal(&bench, run).await;
    assert_eq!(kept.iter().map(|one| one.entry.failed()).collect::<Vec<_>>(), [false, false, true]);
    bench.clock.forward(HOUR);
    let _second = bench.start().await;
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
    let mut changes = bench.sandbox.changes_of(run);
    changes.retain(|((_, node, ..), _)| node == "several");
    let times: Vec<u32> = changes.iter().map(|(_, times)| *times).collect();
    assert_eq!(times, [1, 1, 1], "{changes:?}");
}

#[tokio::test]
async fn a_step_that_has_succeeded_leaves_no_journal() {
    let bench = Bench::new().await;
    let engine = engine(&bench).await;
    bench.sandbox.fail("then", ErrorClass::Transient);
    let run = engine.run("1").await;
    bench.until(run, |view| state(view) == RunState::Waiting).await;
    bench.clock.forward(HOUR);
    let waits = |view: &tombolo_core::ports::store::RunView| {
        state(view) == RunState::Waiting && crate::support::step(view, "several") == "succeeded"
    };
    bench.until(run, waits).await;
    engine.kill();
    assert_eq!(journal(&bench, run).await, []);
}
