//! What a person may do with steps, and what goes on with them.

use std::collections::BTreeSet;

use serde_json::json;
use uuid::Uuid;

use super::testing::{NOW, at, broken, done, end, expanded, fail, item, items, plan, ready, start};
use super::testing::{state, succeed};
use super::*;
use crate::effect::Effect;
use crate::error::{ErrorClass, StepError};
use crate::id::RunId;
use crate::ports::sandbox::Outcome;
use crate::ports::store::StepKey;
use crate::workflow::Plan;

fn nobody() -> BTreeSet<StepKey> {
    BTreeSet::new()
}

fn key(node: &str, item: u32) -> StepKey {
    StepKey { node: node.into(), item }
}

fn only(node: &str, item: u32) -> Redrive {
    Redrive { step: Some(key(node, item)), ..Redrive::default() }
}

fn list_of(policy: &str) -> Plan {
    plan(json!({
        "list": {"each": {"items": "${ .trigger }", "limit": 3, "on_item_error": policy}},
        "after": {"after": ["list"]},
    }))
}

#[test]
fn what_was_cut_off_is_not_done() {
    let mut run = testing::run(plan(json!({"a": {}, "b": {"after": ["a"]}})));
    succeed(&mut run, "a", &[]);
    run.cancel(NOW).unwrap();
    assert_eq!(end(&run), RunState::Cancelled);
}

#[test]
fn a_resolved_step_lets_go_on_what_was_cut_off_with_it() {
    let mut plan = plan(json!({"send": {}, "then": {"after": ["send"]}, "other": {}}));
    plan.nodes[0].effect = Effect::Unsafe;
    let mut run = testing::run(plan);
    start(&mut run, "send");
    start(&mut run, "other");
    run.cancel(NOW).unwrap();
    assert_eq!(state(&run, "send"), StepState::Unknown);
    let outcome = Outcome { output: json!(7).into(), ports: Vec::new() };
    let repaired = run.resolve(&key("send", 0), outcome, NOW).unwrap();
    assert_eq!(repaired.chosen, [StepAt::from(at(&run, "send"))]);
    assert_eq!(repaired.resumed.len(), 2);
    assert_eq!(ready(&mut run), ["then", "other"]);
}

#[test]
fn what_goes_on_with_a_redriven_step_is_told_apart_from_it() {
    let mut run =
        testing::run(plan(json!({"a": {}, "call": {"use": "workflow", "with": {"name": "w"}}})));
    fail(&mut run, "a", ErrorClass::Permanent);
    start(&mut run, "call");
    let call = StepAt::from(at(&run, "call"));
    run.wait_for_run(call, RunId(Uuid::from_u128(1))).unwrap();
    run.cancel(NOW).unwrap();
    let repaired = run.redrive(&Redrive::default(), &nobody()).unwrap();
    assert_eq!(repaired.chosen, [StepAt::from(at(&run, "a"))]);
    assert_eq!(repaired.resumed, [call]);
    assert!(run.step(call).child.is_some(), "the run that it called goes on");
}

#[test]
fn a_call_with_another_input_is_another_call_or_none() {
    let mut run = testing::run(plan(json!({"call": {"use": "workflow", "with": {"name": "w"}}})));
    start(&mut run, "call");
    let child = RunId(Uuid::from_u128(1));
    run.wait_for_run(0, child).unwrap();
    let error = StepError::new(ErrorClass::Permanent, "broken", "it broke");
    run.resume(0, Err(error), NOW).unwrap();
    let input = Some(json!({"name": "w", "input": 2}).into());
    let redrive = Redrive { input, ..only("call", 0) };
    let refused = run.redrive(&redrive, &nobody()).unwrap_err();
    assert_eq!(refused, CannotRepair::InputOfCall { node: "call".into(), child });
    let anew = Redrive { forget_calls: true, ..redrive };
    run.redrive(&anew, &nobody()).unwrap();
    assert_eq!(run.step(0).child, None);
    assert_eq!(run.step(0).input, anew.input);
}

#[test]
fn a_list_takes_no_other_input() {
    let mut run = expanded(list_of("fail"), 2);
    items(&mut run);
    broken(&mut run, 1, ErrorClass::Permanent);
    done(&mut run, 2);
    run.ready(NOW).unwrap();
    let redrive = Redrive { input: Some(json!([1]).into()), ..only("list", 0) };
    let refused = run.redrive(&redrive, &nobody()).unwrap_err();
    assert_eq!(refused, CannotRepair::InputOfList { node: "list".into() });
}

#[test]
fn a_redrive_of_a_list_is_one_of_its_failed_items() {
    let mut run = expanded(list_of("fail"), 3);
    items(&mut run);
    done(&mut run, 1);
    for number in [2, 3] {
        broken(&mut run, number, ErrorClass::Permanent);
    }
    run.ready(NOW).unwrap();
    assert_eq!(state(&run, "list"), StepState::Dead);
    let repaired = run.redrive(&only("list", 0), &nobody()).unwrap();
    assert_eq!(repaired.chosen, [item(0), item(2), item(3)]);
    assert_eq!(items(&mut run), [2, 3]);
    done(&mut run, 2);
    done(&mut run, 3);
    assert_eq!(ready(&mut run), ["after"]);
    assert_eq!(run.step(0).error, None);
}

#[test]
fn a_list_that_is_done_keeps_its_result() {
    let mut run = expanded(list_of("skip"), 2);
    items(&mut run);
    done(&mut run, 1);
    broken(&mut run, 2, ErrorClass::Permanent);
    assert_eq!(ready(&mut run), ["after"]);
    succeed(&mut run, "after", &[]);
    let refused = run.redrive(&only("list", 2), &nobody()).unwrap_err();
    assert_eq!(refused, CannotRepair::ListDone { node: "list".into(), item: 2 });
    assert_eq!(run.step(item(2)).state, StepState::Dead);
}

#[test]
fn what_was_given_up_is_no_part_of_a_redrive_of_all() {
    let mut run = testing::run(plan(json!({"a": {}, "b": {}})));
    for node in ["a", "b"] {
        fail(&mut run, node, ErrorClass::Permanent);
    }
    let mut given_up: BTreeSet<StepKey> = [key("a", 0)].into();
    run.redrive(&Redrive::default(), &given_up).unwrap();
    assert_eq!(ready(&mut run), ["b"]);
    fail(&mut run, "b", ErrorClass::Permanent);
    given_up.insert(key("b", 0));
    let refused = run.redrive(&Redrive::default(), &given_up).unwrap_err();
    assert_eq!(refused, CannotRepair::NothingDead);
    run.redrive(&only("a", 0), &given_up).unwrap();
    assert_eq!(ready(&mut run), ["a"], "by its name");
}

#[test]
fn a_redriven_step_may_be_rate_limited_as_often_as_a_new_one() {
    let mut run = testing::run(plan(json!({"a": {}})));
    let limited = |run: &mut Run| (0..).take_while(|_| alive(run)).count();
    let most = usize::try_from(retry::MAX_RATE_LIMITED_ATTEMPTS).unwrap() - 1;
    assert_eq!(limited(&mut run), most);
    assert_eq!(state(&run, "a"), StepState::Dead);
    run.redrive(&Redrive::default(), &nobody()).unwrap();
    let rows = run.take_changes();
    let mut restored = Run::restore(run.plan().clone(), rows).unwrap();
    assert_eq!(limited(&mut restored), most);
    assert_eq!(restored.step(0).attempt, 2 * retry::MAX_RATE_LIMITED_ATTEMPTS, "none is forgotten");
}

/// True if a rate limit is followed by another attempt.
fn alive(run: &mut Run) -> bool {
    matches!(fail(run, "a", ErrorClass::RateLimited), Treatment::Retry { .. })
}
