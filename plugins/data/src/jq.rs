//! `map` and `filter`: what needs a program, in jq.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tombolo_jq::{CompileError, NotJson, RunError, Val};
use tombolo_sdk::{Effect, ErrorClass, NodeError, Operation, Outcome, Schemas, params, schema};

/// Makes one value of another: `{"input": {"a": 1}, "program": ".a + 1"}` gives `2`.
///
/// The value goes from text to text without serde: this is the operation that most runs spend their
/// time in.
pub fn map() -> Operation {
    let schemas =
        Schemas { params: schema::of_input::<Map<'_>>, output: schema::of_output::<Value> };
    declare(Operation::raw(
        "map",
        "Makes a new value of `input` with a jq program",
        Effect::Pure,
        schemas,
        run_map,
    ))
}

/// Keeps some items: `{"items": [1, 5], "where": ". > 2"}` gives `[5]`.
pub fn filter() -> Operation {
    declare(Operation::new(
        "filter",
        "Keeps the items for which a jq program is true",
        Effect::Pure,
        run_filter,
    ))
}

fn declare(operation: Operation) -> Operation {
    operation
        .with_error("program-invalid", ErrorClass::InvalidInput, "The jq program does not compile")
        .with_error(
            "program-failed",
            ErrorClass::InvalidInput,
            "The jq program raised an error, or did not give exactly one value",
        )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Map<'a> {
    /// What the program reads as `.`.
    #[serde(borrow)]
    #[schemars(with = "Value")]
    input: &'a RawValue,
    /// A jq program that gives exactly one value.
    #[serde(borrow)]
    program: Cow<'a, str>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// What is chosen from.
    #[schemars(with = "Vec<Value>")]
    items: Vec<Box<RawValue>>,
    /// A jq program; an item stays if it gives anything but false and null.
    r#where: String,
}

/// A list of JSON texts.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
struct RawItems(#[schemars(with = "Vec<Value>")] Vec<Box<RawValue>>);

fn run_map(params: &str) -> Result<Outcome, NodeError> {
    let params: Map<'_> = params::parse(params)?;
    let program = tombolo_jq::program(&params.program).map_err(invalid)?;
    let value = program.one(read(params.input)?).map_err(failed)?;
    let output = tombolo_jq::write(&value).map_err(not_json)?;
    Ok(Outcome { output, ports: Vec::new() })
}

fn run_filter(params: Filter) -> Result<RawItems, NodeError> {
    let program = tombolo_jq::program(&params.r#where).map_err(invalid)?;
    let mut kept = Vec::new();
    for (index, item) in params.items.into_iter().enumerate() {
        let verdict = program.one(read(&item)?).map_err(|error| at_item(failed(error), index))?;
        if !matches!(verdict, Val::Null | Val::Bool(false)) {
            kept.push(item);
        }
    }
    Ok(RawItems(kept))
}

fn read(text: &RawValue) -> Result<Val, NodeError> {
    tombolo_jq::read(text.get().as_bytes()).map_err(not_json)
}

fn invalid(error: CompileError) -> NodeError {
    NodeError::invalid_input("program-invalid", format!("the jq program: {error}"))
        .with_details(json!({ "position": error.position }))
}

fn failed(error: RunError) -> NodeError {
    NodeError::invalid_input("program-failed", format!("the jq program: {error}"))
}

fn not_json(error: NotJson) -> NodeError {
    NodeError::invalid_input("program-failed", error.to_string())
}

fn at_item(error: NodeError, index: usize) -> NodeError {
    let message = format!("item {index}: {}", error.message);
    NodeError { message, ..error }.with_details(json!({ "item": index }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tombolo_sdk::testing::invoke;

    use crate::plugin;

    #[test]
    fn map_makes_one_value() {
        let called = invoke(
            &plugin(),
            "map",
            json!({"input": {"deals": [{"amount": 2}, {"amount": 3.5}]},
                   "program": "[.deals[].amount] | {total: add, count: length}"}),
        )
        .expect("maps");
        assert_eq!(called.output, json!({"total": 5.5, "count": 2}));
    }

    #[test]
    fn map_wants_exactly_one_value() {
        let error = invoke(&plugin(), "map", json!({"input": [1, 2], "program": ".[]"}))
            .expect_err("two values");
        assert_eq!(error.code, "program-failed");
    }

    #[test]
    fn a_program_that_does_not_compile_names_its_place() {
        let error = invoke(&plugin(), "map", json!({"input": 1, "program": ". + nope"}))
            .expect_err("no such function");
        assert_eq!(error.code, "program-invalid");
        assert_eq!(error.details.as_deref(), Some(&json!({"position": 4})));
    }

    #[test]
    fn filter_keeps_items_as_they_are() {
        let called = invoke(
            &plugin(),
            "filter",
            json!({"items": [{"b": 1, "a": 9}, {"b": 2, "a": 1}, {"a": 5}],
                   "where": ".b and .a > 1"}),
        )
        .expect("filters");
        assert_eq!(called.output.to_string(), r#"[{"b":1,"a":9}]"#);
    }

    #[test]
    fn filter_names_the_item_that_failed() {
        let error = invoke(&plugin(), "filter", json!({"items": [[1], 2], "where": ".[0] > 0"}))
            .expect_err("2 has no items");
        assert_eq!(error.details.as_deref(), Some(&json!({"item": 1})));
        assert!(error.message.starts_with("item 1: the jq program: cannot index 2"));
    }
}
