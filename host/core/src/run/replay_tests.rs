//! What a replay takes over and what it repeats.

use serde_json::json;

use super::testing::{NOW, broken, done, expanded, fail, items, plan, ready, run, succeed};
use super::*;
use crate::effect::Effect;
use crate::error::ErrorClass;
use crate::ports::store::StepKey;
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

fn lost_list() -> Run {
    let each = json!({"items": "${ .trigger }", "limit": 3, "on_item_error": "skip"});
    let mut plan = plan(json!({"list": {"each": each}, "after": {"after": ["list"]}}));
    plan.nodes[0].effect = Effect::Unsafe;
    plan.nodes[0].uses = chain().nodes[0].uses.clone();
    let mut run = expanded(plan, 4);
    items(&mut run);
    done(&mut run, 1);
    broken(&mut run, 2, ErrorClass::UnknownOutcome);
    broken(&mut run, 3, ErrorClass::Permanent);
    items(&mut run);
    done(&mut run, 4);
    run.ready(NOW).unwrap();
    run
}

#[test]
fn a_replay_says_of_which_steps_nobody_knows() {
    let list = lost_list();
    let key = |node: &str, item| StepKey { node: node.into(), item };
    let unknown = replay(&list, list.plan(), &From::Failed).unwrap().unknown;
    assert_eq!(unknown, [key("list", 0), key("list", 2)]);
    let mut old = failed_at_c();
    let known = replay(&old, old.plan(), &From::Start).unwrap().unknown;
    assert_eq!(known, []);
    let redrive = Redrive::default();
    old.redrive(&redrive, &std::collections::BTreeSet::new()).unwrap();
    fail(&mut old, "c", ErrorClass::UnknownOutcome);
    let unknown = |from| replay(&old, old.plan(), &from).unwrap().unknown;
    assert_eq!(unknown(From::Failed), [key("c", 0)]);
    assert_eq!(unknown(From::Node("side".into())), [key("c", 0)], "it did not succeed either");
}

#[test]
fn a_list_goes_on_with_the_items_that_are_not_done() {
    let old = lost_list();
    let planned = replay(&old, old.plan(), &From::Failed).unwrap();
    let items_again = RepeatedItems { again: 2, done: 2, unknown: 1 };
    assert_eq!(planned.repeats[0].items, Some(items_again));
    let mut new = Run::restore(old.plan().clone(), planned.steps).unwrap();
    assert_eq!(items(&mut new), [2, 3]);
    done(&mut new, 2);
    done(&mut new, 3);
    assert_eq!(ready(&mut new), ["after"]);
    assert_eq!(new.step(0).output.as_ref().unwrap().value(), &json!([10, 20, 30, 40]));

    let whole = replay(&old, old.plan(), &From::Start).unwrap();
    assert_eq!((whole.steps.len(), whole.repeats[0].items.unwrap().again), (0, 4));
    let other = Plan::clone(old.plan());
    let other = replay(&old, &other, &From::Failed).unwrap();
    assert_eq!(other.steps.len(), 0, "another version may have another list");
}
