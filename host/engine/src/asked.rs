//! A node's parameters on their way to values: what only the evaluator can answer is asked in one
//! call, the rest is looked up.

use serde_json::Value;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::json::Json;
use tombolo_core::ports::sandbox::{Evaluation, ExpressionError};
use tombolo_core::run::RunScope;
use tombolo_core::workflow::{Parameters, PlanNode, Unresolved};

use crate::Ports;
use crate::attempt::{Of, Prepared};

/// Parameters of a node that are to be resolved.
pub(crate) struct Asked<'a> {
    pub node: &'a PlanNode,
    pub parameters: &'a Parameters,
    pub scope: &'a RunScope,
}

/// What the evaluator answered, by the numbers of the expressions.
pub(crate) struct Answers(Vec<(usize, Json)>);

impl Answers {
    fn get(&self, number: usize) -> Option<&Json> {
        self.0.iter().find(|(known, _)| *known == number).map(|(_, json)| json)
    }
}

impl Asked<'_> {
    /// Everything that only the evaluator can answer, in one call.
    pub async fn evaluate(&self, ports: &Ports, of: &Of) -> Result<Answers, StepError> {
        let (numbers, expressions): (Vec<usize>, Vec<String>) =
            self.parameters.jq().map(|(number, text)| (number, text.to_owned())).unzip();
        if expressions.is_empty() {
            return Ok(Answers(Vec::new()));
        }
        let evaluation = Evaluation {
            tenant: of.tenant,
            workflow: of.workflow,
            version: of.version,
            scope: self.scope.text(self.parameters.needs()),
            expressions,
            now: ports.clock.now(),
        };
        let values = ports.sandbox.evaluate(evaluation).await;
        let values = values.map_err(|error| self.without_value(&numbers, error))?;
        Ok(Answers(numbers.into_iter().zip(values).collect()))
    }

    fn without_value(&self, numbers: &[usize], error: ExpressionError) -> StepError {
        let located = numbers.get(error.index);
        let located = located.map(|number| &self.parameters.expressions()[*number]);
        let (pointer, text) = located.map_or(("", ""), |located| {
            (located.pointer.as_str(), located.expression.text.as_str())
        });
        let at = error.position.map(|at| format!(" at character {at}")).unwrap_or_default();
        let message =
            format!("node `{}`, {pointer}: `{text}`{at}: {}", self.node.name, error.message);
        StepError::new(error.class, &error.code, message).with_details(serde_json::json!({
            "node": self.node.name, "pointer": pointer, "expression": text,
            "position": error.position,
        }))
    }

    pub fn value(&self, field: &str, answers: &Answers) -> Result<Option<Value>, StepError> {
        let evaluated = |number: usize| answers.get(number).map(Json::value);
        let value = self.parameters.resolve_field(field, self.scope, &evaluated);
        value.map_err(|error| unresolved(self.node, &error))
    }

    pub fn text(&self, field: &str, answers: &Answers) -> Result<Json, StepError> {
        let evaluated = |number: usize| answers.get(number);
        let text = self.parameters.write_field(field, self.scope, &evaluated);
        text.map(Option::unwrap_or_default).map_err(|error| unresolved(self.node, &error))
    }

    /// Skips the node if it has a condition that does not hold. That of a for-each node is not its
    /// items'.
    pub fn if_it_holds(
        &self,
        answers: &Answers,
        go_on: impl FnOnce() -> Result<Prepared, StepError>,
    ) -> Result<Prepared, StepError> {
        if !self.node.conditional {
            return go_on();
        }
        match self.value("when", answers)? {
            None | Some(Value::Bool(true)) => go_on(),
            Some(Value::Bool(false) | Value::Null) => Ok(Prepared::Skip),
            Some(other) => {
                let message = format!(
                    "node `{}`: `when` gave {}; it has to give true, false or null",
                    self.node.name,
                    shown(&other)
                );
                Err(StepError::new(ErrorClass::InvalidInput, "condition-not-boolean", message))
            }
        }
    }
}

fn unresolved(node: &PlanNode, error: &Unresolved) -> StepError {
    let Unresolved { code, pointer, expression, message } = error;
    let text = format!("node `{}`, {pointer}: `{expression}`: {message}", node.name);
    StepError::new(ErrorClass::InvalidInput, code, text).with_details(serde_json::json!({
        "node": node.name, "pointer": pointer, "expression": expression,
    }))
}

/// How much of a value is told to people.
const MAX_SHOWN_CHARS: usize = 80;

/// The beginning of a value, for people.
pub(crate) fn shown(value: &Value) -> String {
    value.to_string().chars().take(MAX_SHOWN_CHARS).collect()
}
