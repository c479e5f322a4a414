//! What a replay takes over and what it repeats.

use serde_json::json;

use super::testing::{fail, plan, ready, run, succeed};
use super::*;
use crate::effect::Effect;
use crate::error::ErrorClass;
use crate::workflow::Plan;

fn chain() -> Plan {
    let mut plan = plan(
        json!({"a": {}, "b": {"after": ["a"]}, "c": {"after": ["b"]}, "side": {"after": ["a"]}}),
    );
    for (name, effect) in [("a", Effect::Read), ("b", Effect::Keyed), ("c", Effect::Unsafe)] {
        let at = plan.index[name];
        plan.nodes[at].effect = effect;
        plan.nodes[at].uses = crate::workflow::Uses::Plugin {
            hash: crate::id::ContentHash([0; 32]),
            plugin: "test".into(),
            operation: name.into(),
            ports: Vec::new(),
        };
    }
    plan
}

fn failed_at_c() -> Run {
    let mut run = run(chain());
    for name in ["a", "b", "side"] {
        ready(&mut run);
        succeed(&mut run, name, &[]);
    }
    fail(&mut run, "c", ErrorClass::Permanent);
    run
}

fn names(replay: &Replay) -> (Vec<&str>, Vec<(&str, &str)>) {
    (
        replay.steps.iter().map(|step| step.node.as_str()).collect(),
        replay.repeats.iter().map(|again| (again.node.as_str(), again.effect)).collect(),
    )
}

#[test]
fn from_the_start_everything_happens_again() {
    let old = failed_at_c();
    let replay = replay(&old, old.plan(), &From::Start).unwrap();
    let (taken, repeats) = names(&replay);
    assert_eq!(taken, Vec::<&str>::new());
    assert_eq!(repeats, [("a", "read"), ("b", "keyed"), ("c", "unsafe")]);
}

#[test]
fn from_the_failed_step_only_that_happens_again() {
    let old = failed_at_c();
    let replay = replay(&old, old.plan(), &From::Failed).unwrap();
    assert_eq!(names(&replay), (vec!["a", "b", "side"], vec![("c", "unsafe")]));
    assert_eq!(replay.repeats[0].uses, "test.c");
    let mut new = Run::restore(old.plan().clone(), replay.steps).unwrap();
    assert_eq!(ready(&mut new), ["c"]);
}

#[test]
fn from_a_chosen_step_it_and_what_follows_happens_again() {
    let old = failed_at_c();
    let replay = replay(&old, old.plan(), &From::Node("b".into())).unwrap();
    assert_eq!(names(&replay), (vec!["a", "side"], vec![("b", "keyed"), ("c", "unsafe")]));
    let missing = super::replay(&old, old.plan(), &From::Node("z".into()));
    assert_eq!(missing, Err(NoSuchNode("z".into())));
}

#[test]
fn on_another_version_what_is_new_there_and_what_follows_it_happens() {
    let old = failed_at_c();
    let mut newer = plan(json!({
        "a": {}, "check": {"after": ["a"]}, "b": {"after": ["a", "check"]}, "side": {"after": ["a"]},
    }));
    let at = newer.index["b"];
    newer.nodes[at] = PlanNodeLike::of(&old, "b", &newer.nodes[at]);
    let replay = replay(&old, &newer, &From::Failed).unwrap();
    assert_eq!(names(&replay), (vec!["a", "side"], vec![("b", "keyed")]));
}

/// A node of another version that runs what the old one runs.
struct PlanNodeLike;

impl PlanNodeLike {
    fn of(old: &Run, name: &str, new: &crate::workflow::PlanNode) -> crate::workflow::PlanNode {
        let old = old.plan().node(name).unwrap();
        crate::workflow::PlanNode { uses: old.uses.clone(), effect: old.effect, ..new.clone() }
    }
}
