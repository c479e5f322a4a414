//! An item of which nobody knows whether it took effect is never walked around.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::testing::{NOW, broken, done, end, expanded, item, items, plan, ready, state};
use super::*;
use crate::effect::Effect;
use crate::error::ErrorClass;
use crate::ports::sandbox::Outcome;
use crate::ports::store::StepKey;
use crate::workflow::Plan;

/// How the workflow says that it takes failures of the list.
const HANDLED: [&str; 3] = ["not", "edge", "continue"];

fn list_of(policy: &str, handled: &str) -> Plan {
    let on_error = if handled == "continue" { "continue" } else { "fail" };
    let mut nodes = json!({
        "list": {
            "each": {"items": "${ .trigger }", "limit": 3, "on_item_error": policy},
            "on_error": on_error,
        },
        "after": {"after": ["list"]},
    });
    if handled == "edge" {
        nodes["rescue"] = json!({"after": ["list.error"]});
    }
    let mut plan = plan(nodes);
    plan.nodes[0].effect = Effect::Unsafe;
    plan
}

/// Two items are done, and of the second nobody knows.
fn lost(policy: &str, handled: &str) -> Run {
    let mut run = expanded(list_of(policy, handled), 3);
    assert_eq!(items(&mut run), [1, 2, 3]);
    assert_eq!(broken(&mut run, 2, ErrorClass::UnknownOutcome), Treatment::Unknown);
    for number in [1, 3] {
        assert_eq!(items(&mut run), Vec::<u32>::new());
        assert_eq!(state(&run, "list"), StepState::Waiting, "the others come to their end first");
        done(&mut run, number);
    }
    assert_eq!(items(&mut run), Vec::<u32>::new(), "{policy} {handled}");
    run
}

fn output(run: &Run) -> &Value {
    run.step(0).output.as_ref().unwrap().value()
}

#[test]
fn the_list_is_unknown_with_its_item_whatever_the_policy() {
    for policy in ["fail", "skip", "collect"] {
        for handled in HANDLED {
            let run = lost(policy, handled);
            assert_eq!(state(&run, "list"), StepState::Unknown, "{policy} {handled}");
            assert_eq!(state(&run, "after"), StepState::Pending, "{policy} {handled}");
            assert_eq!(end(&run), RunState::Failed, "{policy} {handled}");
            assert_eq!(run.dead_letters(), [item(2)], "the item, and not its node as well");
        }
    }
}

#[test]
fn the_list_goes_on_when_its_item_is_resolved_or_redriven() {
    for policy in ["fail", "skip", "collect"] {
        for handled in HANDLED {
            let mut resolved = lost(policy, handled);
            let outcome = Outcome { output: json!("looked up").into(), ports: Vec::new() };
            let key = StepKey { node: "list".into(), item: 2 };
            resolved.resolve(&key, outcome, NOW).unwrap();
            assert_eq!(ready(&mut resolved), ["after"], "{policy} {handled}");
            assert_eq!(output(&resolved), &json!([10, "looked up", 30]));

            let mut redriven = lost(policy, handled);
            let blind = redriven.redrive(&Redrive::default(), &BTreeSet::new());
            assert!(matches!(blind, Err(CannotRepair::Unknown { .. })), "{blind:?}");
            let repeat = Redrive { repeat_unknown: true, ..Redrive::default() };
            redriven.redrive(&repeat, &BTreeSet::new()).unwrap();
            assert_eq!(items(&mut redriven), [2]);
            done(&mut redriven, 2);
            assert_eq!(ready(&mut redriven), ["after"], "{policy} {handled}");
            assert_eq!(output(&redriven), &json!([10, 20, 30]));
        }
    }
}

#[test]
fn a_failure_beside_it_counts_once_it_is_known() {
    let mut run = expanded(list_of("fail", "edge"), 3);
    items(&mut run);
    broken(&mut run, 1, ErrorClass::Permanent);
    broken(&mut run, 2, ErrorClass::UnknownOutcome);
    done(&mut run, 3);
    assert_eq!(ready(&mut run), Vec::<String>::new(), "not the way of errors");
    let outcome = Outcome { output: json!(2).into(), ports: Vec::new() };
    run.resolve(&StepKey { node: "list".into(), item: 2 }, outcome, NOW).unwrap();
    assert_eq!(ready(&mut run), ["rescue"]);
}

#[test]
fn a_list_is_not_resolved_over_the_head_of_its_item() {
    let mut run = lost("skip", "not");
    let outcome = Outcome { output: json!([]).into(), ports: Vec::new() };
    let error = run.resolve(&StepKey { node: "list".into(), item: 0 }, outcome, NOW).unwrap_err();
    assert_eq!(error, CannotRepair::ItemUnknown { node: "list".into(), item: 2 });
}
