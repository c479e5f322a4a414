//! Evaluates a trigger's expressions: `split` over a delivery, `dedupe` over each of its items.

use serde_json::Value;
use tombolo_core::clock::Timestamp;
use tombolo_core::json::Json;
use tombolo_core::ports::intake::Hook;
use tombolo_core::ports::sandbox::{Evaluation, Sandbox};
use tombolo_core::workflow::Parameters;

use crate::problem::Problem;

/// Items go to the evaluator together, this many bytes at a time; a larger one goes alone. A delivery
/// of a thousand items is then one question, and what the evaluator has in memory stays small.
const QUESTION_BYTES: usize = 1024 * 1024;

/// Evaluates the expressions of one webhook.
pub(crate) struct Expressions<'a> {
    pub sandbox: &'a dyn Sandbox,
    pub hook: &'a Hook,
    pub now: Timestamp,
}

/// An expression of a trigger. `key` names it in an error.
#[derive(Clone, Copy)]
pub(crate) struct Expression<'a> {
    pub key: &'static str,
    pub text: &'a str,
}

impl Expressions<'_> {
    /// Its value over `scope`.
    pub async fn value(&self, one: Expression<'_>, scope: &Value) -> Result<Value, Problem> {
        let prepared = one.prepare()?;
        let jq: Vec<String> = prepared.jq().map(|(_, jq)| jq.to_owned()).collect();
        let values = self.ask(one, scope.to_string(), jq).await?;
        one.resolve(&prepared, scope, &|at| values.get(at).map(Json::value))
    }

    /// Its value over each of `items`, in their order.
    pub async fn each(&self, one: Expression<'_>, items: &[Value]) -> Result<Vec<Value>, Problem> {
        let prepared = one.prepare()?;
        let jq: Vec<String> = prepared.jq().map(|(_, jq)| over_each(jq)).collect();
        // For each jq, one list of values for each item.
        let mut columns: Vec<Vec<Value>> = vec![Vec::new(); jq.len()];
        if !jq.is_empty() {
            for question in questions(items) {
                let answers = self.ask(one, question, jq.clone()).await?;
                for (column, answer) in columns.iter_mut().zip(&answers) {
                    column.extend(answer.value().as_array().into_iter().flatten().cloned());
                }
            }
        }
        let row = |(index, item): (usize, &Value)| {
            let cells: Vec<&Value> = columns
                .iter()
                .map(|column| one.only(index, column.get(index)))
                .collect::<Result<_, _>>()?;
            one.resolve(&prepared, item, &|at| cells.get(at).copied())
        };
        items.iter().enumerate().map(row).collect()
    }

    async fn ask(
        &self,
        one: Expression<'_>,
        scope: String,
        expressions: Vec<String>,
    ) -> Result<Vec<Json>, Problem> {
        if expressions.is_empty() {
            return Ok(Vec::new());
        }
        let (workflow, version) = self.hook.owner;
        let evaluation = Evaluation {
            tenant: self.hook.tenant,
            workflow,
            version,
            scope,
            expressions,
            now: self.now,
        };
        let answer = self.sandbox.evaluate(evaluation).await;
        answer.map_err(|error| Problem::unevaluated(one, &error))
    }
}

impl Expression<'_> {
    fn prepare(self) -> Result<Parameters, Problem> {
        // Checked when the workflow was applied.
        Parameters::prepare(&Value::String(self.text.to_owned()))
            .map_err(|_| Problem::expression(self, "it is no expression"))
    }

    /// Fills in what was evaluated: `evaluated(0)` for the first part that only jq can answer.
    fn resolve<'v>(
        self,
        prepared: &Parameters,
        scope: &Value,
        evaluated: &dyn Fn(usize) -> Option<&'v Value>,
    ) -> Result<Value, Problem> {
        let numbers: Vec<usize> = prepared.jq().map(|(number, _)| number).collect();
        let evaluated =
            |number: usize| numbers.iter().position(|known| *known == number).and_then(evaluated);
        prepared
            .resolve(scope, &evaluated)
            .map_err(|error| Problem::expression(self, &error.message))
    }

    /// The one value in what an item gave.
    fn only(self, item: usize, values: Option<&Value>) -> Result<&Value, Problem> {
        let failed = |what: &str| Problem::expression(self, &format!("for item {item}, {what}"));
        match values.and_then(Value::as_array).map(Vec::as_slice) {
            Some([value]) => Ok(value),
            Some([_, ..]) => Err(failed("it gives more than one value; use `first(..)`")),
            _ => Err(failed("it gives no value; add `// null` or another value for that case")),
        }
    }
}

/// The same expression over each item of a list. It keeps up to two values for each item: as many as
/// it takes to see that it is not exactly one. The line break ends a comment.
fn over_each(jq: &str) -> String {
    format!("[.[] | [limit(2; ({jq}\n))]]")
}

/// The items as JSON arrays of about [`QUESTION_BYTES`].
fn questions(items: &[Value]) -> Vec<String> {
    let mut questions: Vec<String> = Vec::new();
    for item in items {
        let item = item.to_string();
        match questions.last_mut() {
            Some(question) if question.len() + item.len() < QUESTION_BYTES => question.push(','),
            _ => questions.push("[".to_owned()),
        }
        if let Some(question) = questions.last_mut() {
            question.push_str(&item);
        }
    }
    questions.iter_mut().for_each(|question| question.push(']'));
    questions
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tombolo_core::error::ErrorClass;
    use tombolo_core::ports::sandbox::ExpressionError;

    use super::*;
    use crate::testing::{JqSandbox, hook};

    const DEDUPE: &str = "dedupe";

    async fn each(sandbox: &JqSandbox, text: &str, items: &[Value]) -> Result<Vec<Value>, String> {
        let hook = hook(json!({}));
        let expressions = Expressions { sandbox, hook: &hook, now: Timestamp(0) };
        let values = expressions.each(Expression { key: DEDUPE, text }, items).await;
        values.map_err(|problem| problem.detail().to_owned())
    }

    #[tokio::test]
    async fn a_thousand_items_are_one_question() {
        let items: Vec<Value> = (0..1_000).map(|id| json!({"id": id, "of": "a"})).collect();
        for text in ["${ .id + 1 }", "${ def next: .id + 1; next # the next\n }"] {
            let sandbox = JqSandbox::default();
            let values = each(&sandbox, text, &items).await.unwrap();
            assert_eq!(values, (1..=1_000).map(|id| json!(id)).collect::<Vec<_>>(), "{text}");
            assert_eq!(sandbox.asked(), 1, "{text}");
        }
    }

    #[tokio::test]
    async fn paths_and_jq_stand_in_one_text() {
        let items = [json!({"id": 1, "at": 3}), json!({"id": "b", "at": 4})];
        let sandbox = JqSandbox::default();
        let values = each(&sandbox, "${ .id }-${ .at * 2 }-${ .at + 1 }", &items).await;
        assert_eq!(values, Ok(vec![json!("1-6-4"), json!("b-8-5")]));
        let values = each(&sandbox, "${ .id }-${ .at }", &items).await;
        assert_eq!(values, Ok(vec![json!("1-3"), json!("b-4")]));
        assert_eq!(sandbox.asked(), 1, "paths need no evaluator");
    }

    #[tokio::test]
    async fn large_items_go_apart() {
        let items = vec![json!("x".repeat(400 * 1024)); 5];
        let sandbox = JqSandbox::default();
        let values = each(&sandbox, "${ length }", &items).await.unwrap();
        assert_eq!(values, vec![json!(400 * 1024); 5]);
        assert_eq!(sandbox.asked(), 3);
    }

    #[tokio::test]
    async fn an_item_without_exactly_one_value_is_named() {
        let items = [json!([1]), json!([]), json!([1, 2])];
        let sandbox = JqSandbox::default();
        let detail = each(&sandbox, "${ .[] }", &items).await.unwrap_err();
        assert!(detail.contains("for item 1, it gives no value"), "{detail}");
        let detail = each(&sandbox, "${ .[] }", &items[2..]).await.unwrap_err();
        assert!(detail.contains("for item 0, it gives more than one value"), "{detail}");
    }

    #[tokio::test]
    async fn an_evaluator_that_is_busy_is_no_fault_of_the_sender() {
        let busy = ExpressionError {
            index: 0,
            class: ErrorClass::Transient,
            code: "evaluator-unavailable".to_owned(),
            message: "all instances were busy".to_owned(),
            position: None,
        };
        let failed = ExpressionError { class: ErrorClass::InvalidInput, ..busy.clone() };
        for (error, status, wait) in [(busy, 503, Some("1")), (failed, 422, None)] {
            let sandbox = JqSandbox::failing(error);
            let hook = hook(json!({}));
            let expressions = Expressions { sandbox: &sandbox, hook: &hook, now: Timestamp(0) };
            let one = Expression { key: "split", text: "${ [.] }" };
            let problem = expressions.value(one, &Value::Null).await.unwrap_err();
            let response = axum::response::IntoResponse::into_response(problem);
            assert_eq!(response.status(), status);
            let header = response.headers().get("retry-after").and_then(|it| it.to_str().ok());
            assert_eq!(header, wait);
        }
    }
}
