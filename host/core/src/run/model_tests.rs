//! Runs of small plans, driven by hand.

use serde_json::json;

use super::*;
use crate::clock::Timestamp;
use crate::effect::Effect;
use crate::run::testing::{NOW, at, end, fail, plan, ready, run, start, state, succeed};
use crate::run::{RunState, Standing, Treatment};
use crate::workflow::{Edge, Port};

fn diamond() -> Plan {
    plan(json!({"a": {}, "b": {"after": ["a"]}, "c": {"after": ["a"]}, "d": {"after": ["b", "c"]}}))
}

#[test]
fn branches_start_together_and_a_join_waits_for_all() {
    let mut run = run(diamond());
    assert_eq!(ready(&mut run), ["a"]);
    succeed(&mut run, "a", &[]);
    assert_eq!(ready(&mut run), ["b", "c"]);
    succeed(&mut run, "b", &[]);
    assert_eq!(ready(&mut run), ["c"]);
    succeed(&mut run, "c", &[]);
    assert_eq!(ready(&mut run), ["d"]);
    succeed(&mut run, "d", &[]);
    assert_eq!(ready(&mut run), Vec::<String>::new());
    let Standing::Ended { state: RunState::Succeeded, output, .. } = run.standing() else {
        panic!()
    };
    assert_eq!(output, Some(json!("d").into()));
}

#[test]
fn a_join_of_any_starts_with_the_first() {
    let mut run = run(plan(json!({"a": {}, "b": {}, "c": {"after": ["a", "b"], "join": "any"}})));
    succeed(&mut run, "a", &[]);
    assert_eq!(ready(&mut run), ["b", "c"]);
}

#[test]
fn ports_that_do_not_fire_skip_their_path_to_the_join() {
    let mut plan = plan(json!({
        "s": {}, "x": {}, "after_x": {"after": ["x"]}, "y": {}, "join": {"after": ["after_x", "y"]},
    }));
    for (name, port) in [("x", "left"), ("y", "right")] {
        let index = plan.index[name];
        let from = plan.index["s"];
        assert!(from < index, "file order is kept");
        plan.nodes[index].inputs.push(Edge { from, port: Port::Named(port.into()) });
    }
    let mut run = run(plan);
    succeed(&mut run, "s", &["right"]);
    assert_eq!(ready(&mut run), ["y"]);
    assert_eq!(state(&run, "x"), StepState::Skipped);
    assert_eq!(state(&run, "after_x"), StepState::Skipped);
    succeed(&mut run, "y", &[]);
    assert_eq!(ready(&mut run), ["join"], "one live edge is enough");
}

#[test]
fn independent_branches_finish_before_the_run_fails() {
    let mut run = run(diamond());
    succeed(&mut run, "a", &[]);
    assert_eq!(fail(&mut run, "b", ErrorClass::Permanent), Treatment::Dead);
    assert_eq!(ready(&mut run), ["c"]);
    succeed(&mut run, "c", &[]);
    assert_eq!(ready(&mut run), Vec::<String>::new(), "d needs b, which a redrive may still bring");
    assert_eq!(state(&run, "d"), StepState::Pending);
    let Standing::Ended { state, error, .. } = run.standing() else { panic!() };
    assert_eq!(state, RunState::Failed);
    assert_eq!(error.unwrap().message, "node `b`: it broke");
}

#[test]
fn an_error_edge_is_taken_by_a_failure_and_only_then() {
    let plan =
        || plan(json!({"a": {}, "rescue": {"after": ["a.error"]}, "next": {"after": ["a"]}}));
    let mut failed = run(plan());
    fail(&mut failed, "a", ErrorClass::Permanent);
    assert_eq!(ready(&mut failed), ["rescue"]);
    assert_eq!(state(&failed, "next"), StepState::Skipped);
    succeed(&mut failed, "rescue", &[]);
    assert_eq!(end(&failed), RunState::Succeeded, "the failure was handled");

    let mut fine = run(plan());
    succeed(&mut fine, "a", &[]);
    assert_eq!(ready(&mut fine), ["next"]);
    assert_eq!(state(&fine, "rescue"), StepState::Skipped);
}

#[test]
fn on_error_continue_goes_on_without_an_output() {
    let mut run = run(plan(json!({"a": {"on_error": "continue"}, "b": {"after": ["a"]}})));
    fail(&mut run, "a", ErrorClass::NotFound);
    assert_eq!(ready(&mut run), ["b"]);
    succeed(&mut run, "b", &[]);
    assert_eq!(end(&run), RunState::Succeeded);
}

#[test]
fn a_step_that_waits_parks_the_run_until_it_is_due() {
    let mut run = run(plan(json!({"a": {"retry": {"attempts": 2, "backoff": {"first": "5s"}}}})));
    let Treatment::Retry { at: due, .. } = fail(&mut run, "a", ErrorClass::Transient) else {
        panic!()
    };
    assert_eq!(ready(&mut run), Vec::<String>::new());
    let Standing::Parked { due: Some(first), .. } = run.standing() else { panic!() };
    assert_eq!(first, due);
    assert_eq!(run.ready(due).unwrap(), [StepAt::from(0)]);
    assert_eq!(fail(&mut run, "a", ErrorClass::Transient), Treatment::Dead);
    assert_eq!(run.step(0).attempt, 2);
    assert_eq!(end(&run), RunState::Failed);
}

#[test]
fn rate_limits_spend_no_attempts() {
    let mut run = run(plan(json!({"a": {"retry": {"attempts": 1}}})));
    for _ in 0..10 {
        assert!(matches!(fail(&mut run, "a", ErrorClass::RateLimited), Treatment::Retry { .. }));
    }
    assert_eq!((run.step(0).attempt, run.step(0).spent), (10, 0));
    assert_eq!(fail(&mut run, "a", ErrorClass::Transient), Treatment::Dead);
}

#[test]
fn recovery_repeats_what_is_safe_and_says_what_nobody_knows() {
    let mut plan = plan(json!({"safe": {}, "dangerous": {}}));
    let dangerous = plan.index["dangerous"];
    plan.nodes[dangerous].effect = Effect::Unsafe;
    let mut first = run(plan);
    start(&mut first, "safe");
    start(&mut first, "dangerous");
    let rows = first.take_changes();
    assert_eq!(rows.len(), 2);
    assert!(first.take_changes().is_empty());

    let mut second = Run::restore(first.plan().clone(), rows).unwrap();
    second.recover(NOW).unwrap();
    assert_eq!(ready(&mut second), ["safe"]);
    assert_eq!(state(&second, "dangerous"), StepState::Unknown);
    assert_eq!(second.step(at(&second, "dangerous")).error.as_ref().unwrap().code, "worker-lost");
}

#[test]
fn cancelling_ends_every_step_that_goes_on() {
    let mut run = run(diamond());
    succeed(&mut run, "a", &[]);
    start(&mut run, "b");
    run.cancel(NOW).unwrap();
    assert_eq!(state(&run, "a"), StepState::Succeeded);
    for name in ["b", "c", "d"] {
        assert_eq!(state(&run, name), StepState::Cancelled);
    }
}

#[test]
fn stored_steps_of_another_plan_are_reported() {
    let mut run = run(diamond());
    succeed(&mut run, "a", &[]);
    let rows = run.take_changes();
    let other = Arc::new(plan(json!({"z": {}})));
    assert_eq!(Run::restore(other, rows).unwrap_err(), Broken { node: "a".into(), item: 0 });
}

#[test]
fn a_time_that_has_come_after_what_was_waited_for_is_nothing() {
    let nodes = json!({"ask": {"use": "callback", "with": {"expires": "1h"}}});
    let mut waiting = run(plan(nodes));
    start(&mut waiting, "ask");
    let due = NOW.plus(std::time::Duration::from_secs(3600));
    waiting.suspend(0, Some(due)).unwrap();

    let mut answered = waiting.clone();
    let outcome = crate::ports::sandbox::Outcome { output: json!(1).into(), ports: Vec::new() };
    answered.resume(0, Ok(outcome), due).unwrap();
    answered.time_has_come(0, due, due).unwrap();
    assert_eq!(state(&answered, "ask"), StepState::Succeeded);

    waiting.time_has_come(0, NOW, due).unwrap();
    assert_eq!(state(&waiting, "ask"), StepState::Waiting, "another time");
    waiting.time_has_come(0, due, due).unwrap();
    assert_eq!(waiting.step(0).error.as_ref().unwrap().code, "callback-expired");
}

#[test]
fn a_step_that_is_put_off_begins_anew_when_it_is_due() {
    let later = Timestamp(NOW.0 + 1_000);
    let busy = || StepError::new(ErrorClass::Transient, "sandbox-busy", "no room");
    for under_way in [false, true] {
        let mut run = run(plan(json!({"a": {}})));
        let handed_out = run.ready(NOW).unwrap();
        if under_way {
            start(&mut run, "a");
        }
        run.postpone(handed_out[0], busy(), later).unwrap();
        assert!(run.ready(NOW).unwrap().is_empty());
        assert_eq!((run.next_due(NOW), run.next_due(later)), (Some(later), None));
        assert!(matches!(run.standing(), Standing::Parked { due: Some(due), .. } if due == later));

        let mut given_up = run.clone();
        given_up.give_up(&busy(), NOW).unwrap();
        assert_eq!(state(&given_up, "a"), StepState::Dead);

        assert_eq!(run.ready(later).unwrap(), handed_out);
        succeed(&mut run, "a", &[]);
        assert_eq!((run.step(0).spent, end(&run)), (1, RunState::Succeeded));
    }
}
