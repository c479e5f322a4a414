//! The host's evaluator of expressions: a plugin like any other, so that no jq runs in the host's
//! own memory space. Reads and writes its JSON without serde, for speed.

mod request;

use serde_json::{Value, json};
use tombolo_jq::{CompileError, MAX_MESSAGE_CHARACTERS, NotJson, RunError, Val};
use tombolo_sdk::{Effect, ErrorClass, NodeError, Operation, Outcome, Plugin, Schemas};

tombolo_sdk::export!(plugin);

/// What this plugin offers.
pub fn plugin() -> Plugin {
    Plugin::transform("jq", env!("CARGO_PKG_VERSION"), "Evaluates jq expressions")
        .reusable()
        .operation(operation_eval())
        .operation(operation_check())
}

fn operation_eval() -> Operation {
    let schemas = Schemas {
        params: || {
            json!({
                "type": "object",
                "properties": {
                    "scope": { "description": "The input of every expression." },
                    "expressions": { "type": "array", "items": { "type": "string" } }
                },
                "required": ["scope", "expressions"],
                "additionalProperties": false
            })
        },
        output: || {
            json!({
                "type": "object",
                "properties": { "values": { "type": "array" } },
                "required": ["values"]
            })
        },
    };
    Operation::raw(
        "eval",
        "Evaluates expressions against one scope, all or none",
        Effect::Pure,
        schemas,
        eval,
    )
    .with_error(
        "expression-failed",
        ErrorClass::InvalidInput,
        "An expression does not compile, or raised an error",
    )
    .with_error("expression-empty", ErrorClass::InvalidInput, "An expression gave no value")
    .with_error(
        "expression-many",
        ErrorClass::InvalidInput,
        "An expression gave more than one value",
    )
}

fn operation_check() -> Operation {
    let schemas = Schemas {
        params: || {
            json!({
                "type": "object",
                "properties": {
                    "expressions": { "type": "array", "items": { "type": "string" } }
                },
                "required": ["expressions"],
                "additionalProperties": false
            })
        },
        output: || {
            json!({
                "type": "object",
                "properties": { "errors": { "type": "array", "items": {
                    "type": "object",
                    "properties": {
                        "index": { "type": "integer", "minimum": 0 },
                        "message": { "type": "string" },
                        "position": { "type": ["integer", "null"], "minimum": 0 }
                    },
                    "required": ["index", "message", "position"]
                } } },
                "required": ["errors"]
            })
        },
    };
    Operation::raw(
        "check",
        "Compiles expressions without evaluating them",
        Effect::Pure,
        schemas,
        check,
    )
}

fn eval(params: &str) -> Result<Outcome, NodeError> {
    let request = request::eval(params)?;
    let mut output = String::with_capacity(64);
    output.push_str(r#"{"values":["#);
    for (index, expression) in request.expressions.iter().enumerate() {
        if index > 0 {
            output.push(',');
        }
        evaluate(expression, &request.scope, &mut output)
            .map_err(|failure| failure.into_error(index))?;
    }
    output.push_str("]}");
    Ok(outcome(output))
}

fn evaluate(expression: &str, scope: &Val, output: &mut String) -> Result<(), Failure> {
    let value = tombolo_jq::program(expression)?.one(scope.clone())?;
    Ok(tombolo_jq::append(output, &value)?)
}

fn check(params: &str) -> Result<Outcome, NodeError> {
    let expressions = request::check(params)?;
    let errors: Vec<Value> = expressions
        .iter()
        .enumerate()
        .filter_map(|(index, expression)| {
            let error = tombolo_jq::program(expression).err()?;
            Some(Failure::from(error).details(index))
        })
        .collect();
    Ok(outcome(json!({ "errors": errors }).to_string()))
}

fn outcome(output: String) -> Outcome {
    Outcome { output, ports: Vec::new() }
}

/// Why one expression has no value.
struct Failure {
    code: &'static str,
    message: String,
    position: Option<usize>,
}

impl Failure {
    fn into_error(self, index: usize) -> NodeError {
        let details = self.details(index);
        NodeError::invalid_input(self.code, self.message).with_details(details)
    }

    fn details(&self, index: usize) -> Value {
        json!({ "index": index, "message": self.message, "position": self.position })
    }
}

impl From<CompileError> for Failure {
    fn from(error: CompileError) -> Self {
        Self { code: "expression-failed", message: error.message, position: error.position }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self {
            code: match error {
                RunError::Failed(_) => "expression-failed",
                RunError::Empty => "expression-empty",
                RunError::Many => "expression-many",
            },
            message: error.to_string(),
            position: None,
        }
    }
}

impl From<NotJson> for Failure {
    fn from(error: NotJson) -> Self {
        let message: String = error.to_string().chars().take(MAX_MESSAGE_CHARACTERS).collect();
        Self { code: "expression-failed", message, position: None }
    }
}

#[cfg(test)]
mod tests;
