//! The rule router: fires the first port whose condition is true.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tombolo_sdk::{Effect, ErrorClass, NodeError, Operation, Plugin, Routed};

tombolo_sdk::export!(plugin);

/// What this plugin offers.
pub fn plugin() -> Plugin {
    let switch = Operation::routing(
        "switch",
        "Fires the first port whose condition is true",
        Effect::Pure,
        switch,
    )
    .with_dynamic_ports(["/ports", "/else"])
    .with_error(
        "no-port",
        ErrorClass::InvalidInput,
        "No condition is true and there is no `else`",
    );
    Plugin::transform("switch", env!("CARGO_PKG_VERSION"), "Rule router")
        .reusable()
        .operation(switch)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rules {
    /// Port names with their conditions, tried from the first to the last.
    #[schemars(with = "std::collections::BTreeMap<String, bool>")]
    ports: Map<String, Value>,
    /// The port that fires when no condition is true.
    #[serde(rename = "else")]
    otherwise: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Chosen {
    /// The port that fired.
    port: String,
}

fn switch(rules: Rules) -> Result<Routed<Chosen>, NodeError> {
    let port =
        first_true(&rules.ports)?.or(rules.otherwise).ok_or_else(|| no_port(&rules.ports))?;
    Ok(Routed { ports: vec![port.clone()], output: Chosen { port } })
}

/// Every condition has to be a truth value, also those behind the first true one: a condition that
/// is null because a field is missing must not pass as "no".
fn first_true(ports: &Map<String, Value>) -> Result<Option<String>, NodeError> {
    let mut first = None;
    for (port, condition) in ports {
        match condition {
            Value::Bool(true) => first = first.or_else(|| Some(port.clone())),
            Value::Bool(false) => {}
            other => return Err(not_a_condition(port, other)),
        }
    }
    Ok(first)
}

fn not_a_condition(port: &str, found: &Value) -> NodeError {
    let pointer = format!("/ports/{}", port.replace('~', "~0").replace('/', "~1"));
    NodeError::invalid_input(
        "invalid-params",
        format!("the condition of port `{port}` has to be true or false, it is {found}"),
    )
    .with_details(json!({ "pointer": pointer }))
}

fn no_port(ports: &Map<String, Value>) -> NodeError {
    let names: Vec<&str> = ports.keys().map(String::as_str).collect();
    NodeError::invalid_input(
        "no-port",
        format!("no condition of the ports {} is true; add an `else`", names.join(", ")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tombolo_sdk::testing::{Called, invoke};

    fn run(params: Value) -> Result<Called, NodeError> {
        invoke(&plugin(), "switch", params)
    }

    #[test]
    fn the_first_true_port_fires_in_the_order_of_the_file() {
        let called = run(json!({"ports": {"zulu": false, "mike": true, "alpha": true}}))
            .expect("a port fires");
        assert_eq!(called.ports, ["mike"]);
        assert_eq!(called.output, json!({"port": "mike"}));
    }

    #[test]
    fn else_fires_when_nothing_is_true() {
        let called = run(json!({"ports": {"a": false}, "else": "standard"})).expect("else fires");
        assert_eq!(called.ports, ["standard"]);
    }

    #[test]
    fn without_else_nothing_fires_and_says_so() {
        let error = run(json!({"ports": {"a": false, "b": false}})).expect_err("no port");
        assert_eq!(error.class, ErrorClass::InvalidInput);
        assert_eq!(error.code, "no-port");
        assert!(error.message.contains("a, b"));
    }

    #[test]
    fn a_condition_that_is_no_truth_value_is_refused_even_behind_the_first_true_one() {
        let error = run(json!({"ports": {"a": true, "b/c": null}})).expect_err("null is no answer");
        assert_eq!(error.code, "invalid-params");
        assert_eq!(error.details.as_deref(), Some(&json!({"pointer": "/ports/b~1c"})));
    }
}
