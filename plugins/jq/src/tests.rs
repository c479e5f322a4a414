//! What the host relies on.

use serde_json::{Value, json};
use tombolo_sdk::testing::invoke;
use tombolo_sdk::{ErrorClass, NodeError};

use crate::plugin;

fn eval(scope: Value, expressions: &[&str]) -> Result<Value, NodeError> {
    let params = json!({ "scope": scope, "expressions": expressions });
    invoke(&plugin(), "eval", params).map(|called| called.output)
}

fn details(error: NodeError) -> Value {
    *error.details.expect("has details")
}

#[test]
fn every_expression_gives_one_value_of_its_own_type() {
    let scope = json!({
        "trigger": { "objectId": 123_456_789, "at": 1_678_886_400_000_u64 },
        "steps": { "deal": { "name": "Ada", "amount": 12_500.5 } }
    });
    let values = eval(
        scope,
        &[
            ".trigger.objectId",
            ".steps.deal.amount > 10000",
            r#""Onboarding: " + .steps.deal.name"#,
            ".trigger.at",
            ".steps.deal.missing",
            "[.steps[]]",
        ],
    );
    assert_eq!(
        values,
        Ok(json!({ "values": [
            123_456_789, true, "Onboarding: Ada", 1_678_886_400_000_u64, null,
            [{ "name": "Ada", "amount": 12_500.5 }]
        ] }))
    );
}

#[test]
fn no_expressions_give_no_values() {
    assert_eq!(eval(json!({}), &[]), Ok(json!({ "values": [] })));
}

#[test]
fn an_error_names_the_expression_and_the_place() {
    let error = eval(json!({}), &["1", ". + foo(1)"]).expect_err("foo is not there");
    assert_eq!(error.class, ErrorClass::InvalidInput);
    assert_eq!(error.code, "expression-failed");
    assert_eq!(
        details(error),
        json!({
            "index": 1, "position": 4,
            "message": "there is no function `foo` with 1 arguments"
        })
    );
}

#[test]
fn none_and_many_values_are_errors_of_their_own() {
    let code = |expression| eval(json!([]), &[expression]).map_err(|error| error.code);
    assert_eq!(code("empty"), Err("expression-empty".into()));
    assert_eq!(code(".[]"), Err("expression-empty".into()));
    assert_eq!(code("1, 2"), Err("expression-many".into()));
    assert_eq!(code("repeat(1)"), Err("expression-many".into()));
    assert_eq!(code("error(\"no\")"), Err("expression-failed".into()));
    assert_eq!(code("\"a\" | tobytes"), Err("expression-failed".into()));
}

#[test]
fn check_finds_what_does_not_compile_and_runs_nothing() {
    let params = json!({ "expressions": [".a", ".a |", "repeat(1)", "$x"] });
    let called = invoke(&plugin(), "check", params).expect("checks");
    assert_eq!(
        called.output,
        json!({ "errors": [
            { "index": 1, "message": "expected term, found the end", "position": 4 },
            { "index": 3, "message": "there is no variable `$x`", "position": 0 }
        ] })
    );
}

#[test]
fn other_parameters_are_refused() {
    for params in [
        json!({ "expressions": ["."] }),
        json!({ "scope": 1 }),
        json!({ "scope": 1, "expressions": [1] }),
        json!([]),
    ] {
        let error = invoke(&plugin(), "eval", params).expect_err("wrong shape");
        assert_eq!(error.code, "invalid-params");
    }
}

#[test]
fn the_order_of_members_stays() {
    let values = eval(json!({ "z": 1, "a": { "y": 2, "b": 3 } }), &["."]).expect("evaluates");
    assert_eq!(values.to_string(), r#"{"values":[{"z":1,"a":{"y":2,"b":3}}]}"#);
}
