//! The process dies before and after every write of random workflows, and the next one goes on.
//!
//! Whatever the DAG: every accepted event ends, no recorded result changes, an unsafe effect is
//! attempted once at most or said to be unknown, every attempt of a step has the step's one key.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Map, Value, json};
use tombolo_core::error::ErrorClass;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Reading, RunLog, RunView};
use tombolo_core::run::{RunState, StepState};

use crate::support::mortal::Trouble;
use crate::support::{Bench, Running, Script};

/// Workflows in an ordinary run of the tests; `TOMBOLO_FAULT_CASES` overrides it.
const CASES: u32 = 24;

/// The same workflows in every run, unless `TOMBOLO_FAULT_SEED` says otherwise.
const SEED: u64 = 20_261_122;

/// A node of a random workflow.
#[derive(Debug, Clone)]
struct Node {
    kind: Kind,
    /// Earlier nodes it comes after, by bit.
    after: u8,
    join_any: bool,
    /// What its first calls do.
    fails: Fails,
    on_error_continue: bool,
    skipped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Pure,
    Read,
    Keyed,
    Unsafe,
    Wait,
    /// Of so many items, all of this operation.
    Each(&'static str, u8),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fails {
    No,
    Once,
    ForGood,
}

fn node() -> impl Strategy<Value = Node> {
    let kind = prop_oneof![
        2 => Just(Kind::Pure),
        2 => Just(Kind::Read),
        4 => Just(Kind::Keyed),
        3 => Just(Kind::Unsafe),
        1 => Just(Kind::Wait),
        1 => (0..4u8).prop_map(|count| Kind::Each("keyed", count)),
        1 => (0..3u8).prop_map(|count| Kind::Each("unsafe", count)),
    ];
    let fails =
        prop_oneof![6 => Just(Fails::No), 2 => Just(Fails::Once), 1 => Just(Fails::ForGood)];
    (kind, any::<u8>(), any::<bool>(), fails, any::<bool>(), prop::bool::weighted(0.1)).prop_map(
        |(kind, after, join_any, fails, on_error_continue, skipped)| Node {
            kind,
            after,
            join_any,
            fails,
            on_error_continue,
            skipped,
        },
    )
}

fn name(at: usize) -> String {
    format!("n{at}")
}

/// The workflow file's nodes.
fn file(nodes: &[Node]) -> Value {
    let mut file = Map::new();
    for (at, node) in nodes.iter().enumerate() {
        let after: Vec<String> =
            (0..at).filter(|other| node.after & (1 << other) != 0).map(name).collect();
        let mut fields = json!({
            "after": after,
            "join": if node.join_any { "any" } else { "all" },
            "on_error": if node.on_error_continue { "continue" } else { "fail" },
        });
        if node.skipped {
            fields["when"] = json!("${ .trigger.nothing }");
        }
        match node.kind {
            Kind::Wait => {
                fields["use"] = json!("wait");
                fields["with"] = json!({"for": "1h"});
            }
            Kind::Each(operation, count) => {
                fields["use"] = json!(format!("test.{operation}"));
                let items: Vec<u8> = (0..count).collect();
                let source = format!("{}_items", name(at));
                fields["each"] =
                    json!({"items": format!("${{ .steps.{source}.items }}"), "limit": 2});
                fields["with"] = json!({"n": "${ .item }"});
                fields["after"].as_array_mut().unwrap().push(json!(source));
                file.insert(source, json!({"use": "set", "with": {"items": items}}));
            }
            kind => {
                let operation = format!("{kind:?}").to_lowercase();
                fields["use"] = json!(format!("test.{operation}"));
                fields["with"] = json!({"id": "${ .trigger.id }", "at": at});
            }
        }
        if node.kind != Kind::Wait {
            fields["retry"] = json!({"attempts": 3, "backoff": {"first": "1h"}});
        }
        file.insert(name(at), fields);
    }
    file.into()
}

/// Sets what the operations do. A failure of an unsafe one is final: it says it did nothing.
fn script(bench: &Bench, nodes: &[Node]) {
    for (at, node) in nodes.iter().enumerate() {
        bench.sandbox.forget(&name(at));
        let class = match (node.fails, node.kind) {
            (Fails::No, _) | (_, Kind::Wait) => continue,
            (Fails::Once, Kind::Unsafe | Kind::Each("unsafe", _)) => continue,
            (Fails::Once, _) => ErrorClass::Transient,
            (Fails::ForGood, _) => ErrorClass::Permanent,
        };
        bench.sandbox.fail(&name(at), class);
        bench.sandbox.next(&name(at), Script::Echo);
    }
}

/// Moves time on until the run has ended.
async fn end(bench: &Bench, run: RunId) -> RunView {
    let look = async {
        loop {
            let view = bench.store.run(bench.tenant, run).await.unwrap().expect("it is stored");
            if view.run.state.ended() {
                return view;
            }
            if view.run.state == RunState::Waiting {
                bench.clock.forward(Duration::from_secs(60));
            }
            tokio::task::yield_now().await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(30), look).await {
        Ok(view) => view,
        Err(_) => panic!("{run} is stuck: {:#?}", bench.store.run(bench.tenant, run).await),
    }
}

type Results = BTreeMap<(String, u32), String>;

fn results(view: &RunView) -> Results {
    let done = view.steps.iter().filter(|step| step.state == StepState::Succeeded);
    done.map(|step| {
        let output = step.output.as_ref().map_or_else(String::new, |json| json.text().to_owned());
        ((step.node.clone(), step.item), output)
    })
    .collect()
}

/// What has to hold of an ended run.
fn check(bench: &Bench, nodes: &[Node], view: &RunView, recorded: &Results, what: &str) {
    assert_ne!(view.run.state, RunState::Cancelled, "{what}");
    let end = results(view);
    for (step, output) in recorded {
        assert_eq!(end.get(step), Some(output), "{what}: the result of {step:?} changed");
    }
    let open = view
        .steps
        .iter()
        .filter(|step| matches!(step.state, StepState::Running | StepState::Waiting));
    assert_eq!(open.count(), 0, "{what}: {:#?}", view.steps);
    for (at, node) in nodes.iter().enumerate() {
        let mut tries: BTreeMap<String, usize> = BTreeMap::new();
        for (_, key) in bench.sandbox.attempts_of(&name(at), view.run.id) {
            *tries.entry(key).or_default() += 1;
        }
        let items = match node.kind {
            Kind::Each(_, count) => usize::from(count),
            _ => 1,
        };
        assert!(tries.len() <= items, "{what}: {} has {} keys", name(at), tries.len());
        if matches!(node.kind, Kind::Unsafe | Kind::Each("unsafe", _)) {
            let most = tries.values().max().copied().unwrap_or(0);
            assert!(most <= 1, "{what}: the unsafe {} was attempted {most} times", name(at));
        }
    }
}

/// One run with a process that dies at one point, and one that goes on.
async fn with_a_death(bench: &Bench, nodes: &[Node], at: usize, trouble: Trouble, key: &str) {
    script(bench, nodes);
    let what = format!("{trouble:?} at write {at} of {nodes:?}");
    let first = bench.start().await;
    first.store.plan(at, trouble);
    let dying = first.engine.clone();
    let arrival = first.arrival(key);
    let accepting = tokio::spawn(async move {
        use tombolo_core::ports::intake::Intake;
        dying.accept(vec![arrival]).await
    });
    // Time goes on until the process has died, or the run has ended without it.
    let died = async {
        while !first.store.is_dead() {
            if let Some(view) = newest(bench, key).await {
                if view.run.state.ended() {
                    return;
                }
                if view.run.state == RunState::Waiting {
                    bench.clock.forward(Duration::from_secs(60));
                }
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), died).await.expect("it dies");
    first.kill();
    accepting.abort();
    let recorded = newest(bench, key).await.map(|view| results(&view)).unwrap_or_default();
    // The sender was not answered, or does not remember: it sends again.
    let second = bench.start().await;
    let run = second.run(key).await;
    let view = end(bench, run).await;
    check(bench, nodes, &view, &recorded, &what);
    second.kill();
}

async fn newest(bench: &Bench, key: &str) -> Option<RunView> {
    use tombolo_core::ports::store::Page;
    let page = Page { after: None, limit: 1 };
    let newest = bench.store.runs(bench.tenant, &Default::default(), page).await.unwrap();
    let view = bench.store.run(bench.tenant, newest.first()?.run.id).await.unwrap()?;
    (view.event.payload.value()["trigger"]["id"] == key).then_some(view)
}

/// How many writes the run makes when nothing goes wrong.
async fn writes(bench: &Bench, engine: &Running, nodes: &[Node]) -> usize {
    script(bench, nodes);
    let before = engine.store.calls();
    let run = engine.run("calm").await;
    let view = end(bench, run).await;
    check(bench, nodes, &view, &Results::new(), "nothing goes wrong");
    engine.store.calls() - before
}

/// A number that somebody gave for a longer test.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment how long it may be"
)]
fn number<T: std::str::FromStr>(variable: &str, otherwise: T) -> T {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test]
async fn a_death_at_any_write_loses_nothing_and_repeats_nothing_that_is_unsafe() {
    let cases = number("TOMBOLO_FAULT_CASES", CASES);
    let seed = number("TOMBOLO_FAULT_SEED", SEED);
    let config = Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    let mut runner = TestRunner::new(config);
    let mut points = 0;
    let mut shapes = BTreeSet::new();
    for _ in 0..cases {
        let tree = prop::collection::vec(node(), 2..7).new_tree(&mut runner).unwrap();
        let nodes = tree.current();
        shapes.extend(nodes.iter().map(|node| format!("{:?}", node.kind)));
        let bench = Bench::new().await;
        let engine = bench.start().await;
        engine.apply(file(&nodes), json!({})).await;
        let writes = writes(&bench, &engine, &nodes).await;
        engine.kill();
        for at in 0..writes {
            for trouble in [Trouble::DiesBefore, Trouble::DiesAfter] {
                let key = format!("{at}-{trouble:?}");
                with_a_death(&bench, &nodes, at, trouble, &key).await;
                points += 1;
            }
        }
        assert_eq!(bench.store.next_due().await, Ok(None), "nothing is left in the queue");
    }
    assert!(points > 0);
    // Said even where the output of a test that passes is not shown.
    let kinds = shapes.len();
    let counts = format!("crash points: {points} in {cases} workflows of {kinds} kinds of nodes");
    writeln!(std::io::stdout(), "{counts} (seed {seed}), lost=0, doubled=0").unwrap();
}
