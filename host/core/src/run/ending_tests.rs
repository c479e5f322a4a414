//! Runs that cannot go on.

use serde_json::json;

use super::testing::succeed;
use super::testing::{
    NOW, at, broken, done, end, expanded, item, items, plan, ready, start, state,
};
use super::*;
use crate::effect::Effect;
use crate::error::{ErrorClass, StepError};
use crate::ports::store::StepKey;

fn too_big() -> StepError {
    StepError::new(ErrorClass::Permanent, "result-not-storable", "too big")
}

#[test]
fn what_could_not_be_stored_is_done_again_or_unknown_but_never_done_without_a_result() {
    let mut plan = plan(json!({
        "first": {}, "read": {"after": ["first"]}, "send": {"after": ["first"]},
        "last": {"after": ["read"]},
    }));
    for (name, effect) in [("read", Effect::Read), ("send", Effect::Unsafe)] {
        let node = plan.index[name];
        plan.nodes[node].effect = effect;
    }
    let mut run = testing::run(plan);
    succeed(&mut run, "first", &[]);
    start(&mut run, "send");
    let stored = run.take_changes();
    // Not stored any more: the result of `send`, and all of `read` and `last`.
    let send = at(&run, "send");
    let outcome = crate::ports::sandbox::Outcome { output: json!(1).into(), ports: Vec::new() };
    run.succeed(send, outcome, Vec::new(), NOW).unwrap();
    succeed(&mut run, "read", &[]);
    succeed(&mut run, "last", &[]);

    let mut ended = Run::restore(run.plan().clone(), stored).unwrap();
    ended.count_attempt(&StepKey { node: "read".into(), item: 0 }, 1);
    ended.give_up(&too_big(), NOW).unwrap();
    assert_eq!(state(&ended, "first"), StepState::Succeeded);
    assert!(ended.step(at(&ended, "first")).output.is_some());
    assert_eq!(state(&ended, "send"), StepState::Unknown);
    assert_eq!(state(&ended, "read"), StepState::Dead);
    assert_eq!(ended.step(at(&ended, "read")).attempt, 1, "its calls are on record");
    assert_eq!(state(&ended, "last"), StepState::Pending);
    assert_eq!(end(&ended), RunState::Failed);

    let repeat = Redrive { repeat_unknown: true, ..Redrive::default() };
    ended.redrive(&repeat, &Default::default()).unwrap();
    assert_eq!(ready(&mut ended), ["read", "send"]);
    succeed(&mut ended, "read", &[]);
    assert_eq!(ready(&mut ended), ["send", "last"], "it reads what is there now");
}

#[test]
fn a_list_that_is_given_up_goes_on_with_all_its_items() {
    for policy in ["fail", "skip"] {
        let each = json!({"items": "${ .trigger }", "limit": 2, "on_item_error": policy});
        let mut run = expanded(plan(json!({"list": {"each": each}})), 3);
        let mut stored = run.take_changes();
        items(&mut run);
        done(&mut run, 1);
        stored.extend(run.take_changes());
        broken(&mut run, 2, ErrorClass::Transient);
        stored.extend(run.take_changes());
        let mut ended = Run::restore(run.plan().clone(), stored).unwrap();
        ended.give_up(&too_big(), NOW).unwrap();
        assert_eq!(state(&ended, "list"), StepState::Dead);
        assert_eq!(ended.dead_letters().len(), 1, "{policy}: {:?}", ended.dead_letters());
        ended.redrive(&Redrive::default(), &Default::default()).unwrap();
        assert_eq!(items(&mut ended), [2, 3], "{policy}");
        for number in [2, 3] {
            done(&mut ended, number);
        }
        ended.ready(NOW).unwrap();
        assert_eq!(state(&ended, "list"), StepState::Succeeded);
        assert_eq!(ended.step(item(3)).state, StepState::Succeeded);
    }
}
