//! For-each nodes, driven by hand.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::testing::{NOW, at, broken, done, end, expanded, fail, item, items, plan, state};
use super::*;
use crate::error::ErrorClass;
use crate::id::RunId;
use crate::json::Json;
use crate::ports::sandbox::Outcome;
use crate::ports::store::StepKey;
use crate::workflow::Plan;

fn list_of(policy: &str, limit: u32) -> Plan {
    plan(json!({
        "list": {"each": {"items": "${ .trigger }", "limit": limit, "on_item_error": policy}},
        "after": {"after": ["list"]},
    }))
}

#[test]
fn so_many_items_at_a_time_and_the_outputs_in_order() {
    let mut run = expanded(list_of("fail", 2), 3);
    assert_eq!(items(&mut run), [1, 2]);
    assert_eq!(items(&mut run), Vec::<u32>::new(), "handed out once");
    done(&mut run, 2);
    assert_eq!(items(&mut run), [3]);
    done(&mut run, 3);
    assert_eq!(state(&run, "list"), StepState::Waiting);
    done(&mut run, 1);
    let ready = run.ready(NOW).unwrap();
    assert_eq!(ready, [StepAt::from(at(&run, "after"))]);
    assert_eq!(run.step(0).output.as_ref().unwrap().value(), &json!([10, 20, 30]));
}

#[test]
fn a_list_without_items_is_done() {
    let mut run = expanded(list_of("fail", 2), 0);
    assert_eq!(state(&run, "list"), StepState::Succeeded);
    assert_eq!(run.step(0).output.as_ref().unwrap().value(), &json!([]));
    assert_eq!(run.ready(NOW).unwrap(), [StepAt::from(1)]);
}

#[test]
fn one_bad_item_is_skipped_or_collected_where_the_node_says_so() {
    for (policy, expected) in [("skip", json!([10, 30])), ("collect", Value::Null)] {
        let mut run = expanded(list_of(policy, 3), 3);
        items(&mut run);
        done(&mut run, 1);
        assert_eq!(broken(&mut run, 2, ErrorClass::Permanent), Treatment::Dead);
        done(&mut run, 3);
        run.ready(NOW).unwrap();
        assert_eq!(state(&run, "list"), StepState::Succeeded);
        let output = run.step(0).output.as_ref().unwrap().value();
        if policy == "skip" {
            assert_eq!(output, &expected);
        } else {
            assert_eq!(output[1]["error"]["code"], "broken");
            assert_eq!(output[2], 30);
        }
        assert_eq!(run.dead_letters(), [], "the workflow said what becomes of it");
    }
}

#[test]
fn a_bad_item_stops_the_list_and_a_redrive_goes_on_with_what_is_left() {
    let mut run = expanded(list_of("fail", 1), 3);
    assert_eq!(items(&mut run), [1]);
    done(&mut run, 1);
    assert_eq!(items(&mut run), [2]);
    broken(&mut run, 2, ErrorClass::Permanent);
    assert_eq!(items(&mut run), Vec::<u32>::new());
    assert_eq!(state(&run, "list"), StepState::Dead);
    assert_eq!(run.step(0).error.as_ref().unwrap().message, "item 2: it broke");
    assert_eq!(end(&run), RunState::Failed);
    assert_eq!(run.dead_letters(), [item(2)], "the item, not its node as well");

    run.redrive(&Redrive::default(), &BTreeSet::new()).unwrap();
    assert_eq!(items(&mut run), [2]);
    done(&mut run, 2);
    assert_eq!(items(&mut run), [3]);
    done(&mut run, 3);
    run.ready(NOW).unwrap();
    assert_eq!(run.step(0).output.as_ref().unwrap().value(), &json!([10, 20, 30]));
}

#[test]
fn items_that_wait_do_not_hold_the_others_up() {
    let mut run = expanded(list_of("fail", 1), 3);
    items(&mut run);
    let Treatment::Retry { at: due } = broken(&mut run, 1, ErrorClass::Transient) else { panic!() };
    assert_eq!(items(&mut run), [2]);
    done(&mut run, 2);
    assert_eq!(items(&mut run), [3]);
    done(&mut run, 3);
    assert_eq!(items(&mut run), Vec::<u32>::new());
    let Standing::Parked { due: first, .. } = run.standing() else { panic!() };
    assert_eq!(first, Some(due));
    assert_eq!(run.ready(due.plus(Duration::ZERO)).unwrap(), [item(1)]);
}

#[test]
fn a_restart_in_the_middle_goes_on_where_it_was() {
    let mut first = expanded(list_of("fail", 2), 4);
    assert_eq!(items(&mut first), [1, 2]);
    done(&mut first, 1);
    first.start(item(2), None, NOW).unwrap();
    let stored = first.take_changes();
    assert_eq!(stored.len(), 3, "the node and two items");

    let mut second = Run::restore(first.plan().clone(), stored).unwrap();
    second.recover(NOW).unwrap();
    assert_eq!(items(&mut second), [2, 3]);
}

#[test]
fn what_is_stored_of_an_item_is_forgotten_but_its_output() {
    let mut run = expanded(list_of("fail", 2), 2);
    items(&mut run);
    run.start(item(1), Some(json!({"long": "input"}).into()), NOW).unwrap();
    let outcome = Outcome { output: json!(1).into(), ports: Vec::new() };
    run.succeed(item(1), outcome, Vec::new(), NOW).unwrap();
    let stored = run.take_changes();
    run.slim(&stored);
    assert_eq!(run.step(item(1)).input, None);
    assert!(run.step(item(1)).output.is_some());
    assert!(run.step(0).input.is_some(), "the list is still needed");
}

#[test]
fn stored_items_beyond_the_list_are_damage() {
    let mut run = expanded(list_of("fail", 2), 1);
    let mut stored = run.take_changes();
    stored.push(crate::ports::store::StepRow::pending("list", 2));
    let broken = Run::restore(run.plan().clone(), stored).unwrap_err();
    assert_eq!(broken, Broken { node: "list".into(), item: 2 });
}

#[test]
fn a_run_that_was_cut_off_goes_on_with_its_list() {
    let mut run = expanded(list_of("fail", 1), 3);
    items(&mut run);
    done(&mut run, 1);
    items(&mut run);
    run.start(item(2), None, NOW).unwrap();
    run.cancel(NOW).unwrap();
    assert_eq!(run.step(item(2)).state, StepState::Cancelled);
    assert_eq!(run.step(item(3)).state, StepState::Pending, "it had not begun");
    run.redrive(&Redrive::default(), &BTreeSet::new()).unwrap();
    assert_eq!(items(&mut run), [2]);
    done(&mut run, 2);
    assert_eq!(items(&mut run), [3]);
}

#[test]
fn a_handled_failure_is_no_dead_letter() {
    let mut run = testing::run(plan(
        json!({"a": {}, "b": {"after": ["a.conflict"]}, "c": {"after": ["a.error"]}}),
    ));
    fail(&mut run, "a", ErrorClass::Conflict);
    assert_eq!(testing::ready(&mut run), ["b"], "a conflict has a way of its own");
    assert_eq!(state(&run, "c"), StepState::Skipped);
    assert_eq!(run.dead_letters(), []);
}

#[test]
fn a_step_nobody_knows_of_is_repeated_only_by_a_person_who_says_so() {
    let mut plan = plan(json!({"send": {}, "then": {"after": ["send"]}}));
    plan.nodes[0].effect = crate::effect::Effect::Unsafe;
    let mut run = testing::run(plan);
    fail(&mut run, "send", ErrorClass::UnknownOutcome);
    assert_eq!(state(&run, "send"), StepState::Unknown);
    let error = run.redrive(&Redrive::default(), &BTreeSet::new()).unwrap_err();
    assert!(matches!(error, CannotRepair::Unknown { .. }), "{error}");

    let mut resolved = run.clone();
    let key = StepKey { node: "send".into(), item: 0 };
    let outcome = Outcome { output: json!({"id": 7}).into(), ports: Vec::new() };
    resolved.resolve(&key, outcome, NOW).unwrap();
    assert_eq!(testing::ready(&mut resolved), ["then"]);

    let repeat = Redrive { repeat_unknown: true, forget_calls: true, ..Redrive::default() };
    run.redrive(&repeat, &BTreeSet::new()).unwrap();
    assert_eq!(testing::ready(&mut run), ["send"]);
    assert_eq!(run.step(0).edits, 1, "another idempotency key");
}

#[test]
fn items_in_called_runs_are_under_way() {
    let mut run = expanded(list_of("fail", 2), 4);
    assert_eq!(items(&mut run), [1, 2]);
    for number in [1, 2] {
        run.start(item(number), None, NOW).unwrap();
        run.wait_for_run(item(number), RunId(uuid::Uuid::from_u128(number.into()))).unwrap();
    }
    assert_eq!(items(&mut run), Vec::<u32>::new(), "two at a time");
    let rows = run.take_changes();
    let mut restored = Run::restore(run.plan().clone(), rows).unwrap();
    assert_eq!(items(&mut restored), Vec::<u32>::new(), "after a restart, too");
    let outcome = Outcome { output: json!(1).into(), ports: Vec::new() };
    run.resume(item(1), Ok(outcome), NOW).unwrap();
    assert_eq!(items(&mut run), [3]);
}

#[test]
fn a_run_is_no_larger_after_a_restart() {
    let large = || Some(Json::from_value(json!("x".repeat(MAX_RUN_BYTES * 2 / 3))));
    let mut run = expanded(list_of("fail", 1), 3);
    let mut stored = run.take_changes();
    for number in [1, 2] {
        items(&mut run);
        run.start(item(number), large(), NOW).unwrap();
        let outcome = Outcome { output: json!(number).into(), ports: Vec::new() };
        run.succeed(item(number), outcome, Vec::new(), NOW).unwrap();
        let rows = run.take_changes();
        run.slim(&rows);
        stored.extend(rows);
    }
    let next = MAX_RUN_BYTES / 2;
    assert_eq!(run.admit(next), Ok(()));
    assert_eq!(Run::restore(run.plan().clone(), stored).unwrap().admit(next), Ok(()));
}

#[test]
fn the_output_of_a_list_is_that_of_its_items() {
    let mut run = expanded(list_of("fail", 1), 2);
    items(&mut run);
    broken(&mut run, 1, ErrorClass::Permanent);
    assert_eq!(items(&mut run), Vec::<u32>::new(), "the list is dead");
    let resolve = |run: &mut Run, item| {
        let outcome = Outcome { output: json!([]).into(), ports: Vec::new() };
        run.resolve(&StepKey { node: "list".into(), item }, outcome, NOW)
    };
    let error = resolve(&mut run, 0).unwrap_err();
    assert_eq!(error, CannotRepair::OutputOfList { node: "list".into() });
    resolve(&mut run, 1).unwrap();
    assert_eq!(items(&mut run), [2], "the others go on");
}
