//! Expressions: evaluated by the plugin `jq` that comes with the host, in the sandbox like every
//! other plugin and under tighter bounds. Never looks inside an expression or a value.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;
use tombolo_core::clock::Timestamp;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::json::{self, Json, MAX_DEPTH};
use tombolo_core::ports::sandbox::{Evaluation, ExpressionError};

use crate::bindings::tombolo::node::types as wit;
use crate::clock::Time;
use crate::failure::Failure;
use crate::guest::{Call, Setup};
use crate::library::Loaded;
use crate::random::Random;
use crate::runner::{Answer, Reach, Request, Runner, Work, ticks};
use crate::settings::SandboxSettings;
use crate::state::StateBuffer;
use crate::warm::WarmKey;

/// An expression reached a bound: time, memory, stack, size or depth of its value.
const LIMIT: &str = "expression-limit";
/// An expression has no value, for a reason the evaluator gives.
const FAILED: &str = "expression-failed";
/// The evaluator itself is not there or does not answer as it should.
pub(crate) const UNAVAILABLE: &str = "evaluator-unavailable";

/// How much longer than its processor time an evaluation may take on the wall clock.
const WALL_FACTOR: u32 = 10;

/// The evaluator, ready to be asked.
pub(crate) struct Evaluator<'a> {
    pub(crate) settings: &'a SandboxSettings,
    pub(crate) runner: &'a Runner,
    pub(crate) plugin: &'a Loaded,
}

#[derive(Deserialize)]
struct Values<'a> {
    #[serde(borrow)]
    values: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Place>,
}

/// What the evaluator says about one expression.
#[derive(Deserialize)]
struct Place {
    index: usize,
    message: String,
    position: Option<usize>,
}

/// How one question to the evaluator went wrong.
enum Trouble {
    Failure(Failure),
    Error(wit::NodeError),
}

impl Evaluator<'_> {
    /// All values, or the first error.
    pub(crate) async fn evaluate(
        &self,
        evaluation: &Evaluation,
    ) -> Result<Vec<Json>, ExpressionError> {
        let trouble = match self.eval(evaluation, &evaluation.expressions, self.budget()).await {
            Ok(values) => return Ok(values),
            Err(trouble) => trouble,
        };
        if let Trouble::Failure(failure) = &trouble
            && failure.is_limit()
            && evaluation.expressions.len() > 1
            && let Some(error) = self.culprit(evaluation).await
        {
            return Err(error);
        }
        Err(explain(trouble, 0))
    }

    /// Which expressions cannot be parsed, and why.
    pub(crate) async fn check(
        &self,
        expressions: &[String],
    ) -> Result<Vec<ExpressionError>, StepError> {
        let params = serde_json::json!({ "expressions": expressions }).to_string();
        let answer = self.ask("check", &params, None, Timestamp(0), self.budget()).await;
        let text = answer.map_err(|trouble| {
            let error = explain(trouble, 0);
            StepError::new(error.class, &error.code, error.message)
        })?;
        let errors: Errors = serde_json::from_str(&text).map_err(|error| {
            StepError::new(ErrorClass::Permanent, UNAVAILABLE, malformed(&error))
        })?;
        Ok(errors
            .errors
            .into_iter()
            .map(|place| ExpressionError {
                index: place.index,
                class: ErrorClass::InvalidInput,
                code: "expression-invalid".to_owned(),
                message: place.message,
                position: place.position,
            })
            .collect())
    }

    /// On the wall clock, which goes on while others have their turn: the bound that counts is that
    /// of processor time.
    fn budget(&self) -> Duration {
        Duration::from_millis(self.settings.expression.timeout_ms) * WALL_FACTOR
    }

    async fn eval(
        &self,
        evaluation: &Evaluation,
        expressions: &[String],
        budget: Duration,
    ) -> Result<Vec<Json>, Trouble> {
        let key = WarmKey {
            component: self.plugin.hash,
            tenant: evaluation.tenant,
            workflow: evaluation.workflow,
            version: evaluation.version,
        };
        let params = question(&evaluation.scope, expressions);
        let text = self.ask("eval", &params, Some(key), evaluation.now, budget).await?;
        values(&text, expressions.len())
            .map_err(|reason| Trouble::Failure(Failure::Malformed { reason }))
    }

    /// A batch that reached a bound is tried one by one, all within the time of one batch, to name
    /// the expression. None if none of them reaches a bound alone in that time.
    async fn culprit(&self, evaluation: &Evaluation) -> Option<ExpressionError> {
        let ends = Instant::now() + self.budget();
        for (index, expression) in evaluation.expressions.iter().enumerate() {
            let left = ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // The time of all is used up, and none of them did that alone.
                return None;
            }
            if let Err(trouble) =
                self.eval(evaluation, std::slice::from_ref(expression), left).await
            {
                return Some(ExpressionError { index, ..explain(trouble, index) });
            }
        }
        None
    }

    async fn ask(
        &self,
        operation: &str,
        params: &String,
        keep: Option<WarmKey>,
        now: Timestamp,
        timeout: Duration,
    ) -> Result<String, Trouble> {
        let bounds = &self.settings.expression;
        let request = Request {
            work: Work::Invoke { operation, params },
            reach: Reach::Inside,
            timeout,
            output_bytes: bounds.output_bytes,
            keep: keep.filter(|_| self.plugin.reusable()),
            interrupt: None,
        };
        let setup = |_ends| Setup {
            call: Call {
                caller: None,
                connection: None,
                deadline: now.plus(timeout),
                time: Time::Frozen(now),
                ticks: ticks(bounds.timeout_ms),
            },
            random: Random::seeded("expression", self.settings.call.random_bytes),
            state: StateBuffer::new(None, self.settings.state),
            session: None,
            memory_bytes: bounds.memory_bytes,
        };
        match self.runner.run(&self.plugin.pre, request, setup).await.answer {
            Ok(Answer::Done(outcome)) => Ok(outcome.output),
            Ok(Answer::Failed(error)) => Err(Trouble::Error(error)),
            Ok(Answer::Described(_)) => Err(Trouble::Failure(Failure::Malformed {
                reason: "it described itself instead of answering".to_owned(),
            })),
            Err(failure) => Err(Trouble::Failure(failure)),
        }
    }
}

/// The scope is JSON text already and is not parsed here.
fn question(scope: &str, expressions: &[String]) -> String {
    let expressions = serde_json::json!(expressions).to_string();
    let mut text = String::with_capacity(scope.len() + expressions.len() + 32);
    text.push_str(r#"{"scope":"#);
    text.push_str(scope);
    text.push_str(r#","expressions":"#);
    text.push_str(&expressions);
    text.push('}');
    text
}

/// Cuts the answer into its values.
fn values(text: &str, count: usize) -> Result<Vec<Json>, String> {
    // Around a value stand the object and its array.
    if json::levels(text) > MAX_DEPTH + 2 {
        return Err(format!("{DEEP} {MAX_DEPTH} levels"));
    }
    let values: Values<'_> = serde_json::from_str(text).map_err(|error| malformed(&error))?;
    if values.values.len() != count {
        return Err(format!("{} values for {count} expressions", values.values.len()));
    }
    // Read here, once: a number that no double can hold is an error, and not `null` later.
    let read =
        |value: &RawValue| Json::parse(value.get()).map_err(|error| format!("{UNUSABLE}: {error}"));
    values.values.into_iter().map(read).collect()
}

const UNUSABLE: &str = "a value cannot be used";
const DEEP: &str = "a value nests deeper than";

fn malformed(error: &serde_json::Error) -> String {
    format!("the evaluator's answer is not what was asked for: {error}")
}

fn explain(trouble: Trouble, index: usize) -> ExpressionError {
    match trouble {
        Trouble::Error(error) => from_evaluator(error, index),
        Trouble::Failure(failure) => {
            // Processor time is bounded on its own, far below: the wall clock runs out when others
            // have all the turns.
            let busy = matches!(failure, Failure::Busy { .. } | Failure::Timeout { .. });
            let limit = failure.is_limit() && !busy;
            let message = match &failure {
                Failure::Malformed { reason } => reason.clone(),
                Failure::Timeout { limit_ms } => format!(
                    "the expression got no turn for long enough within {limit_ms} ms (ten times the limit expression.timeout_ms)"
                ),
                Failure::Cpu { limit_ms: _ } => {
                    "the expression used up its processor time (limit expression.timeout_ms)"
                        .to_owned()
                }
                Failure::Memory { wanted, limit } => format!(
                    "the expression wanted {wanted} bytes of memory and may have {limit} (limit expression.memory_bytes)"
                ),
                Failure::Output { limit } => format!(
                    "the values are larger than {limit} bytes (limit expression.output_bytes)"
                ),
                Failure::Stack { .. } => {
                    "the expression recurses too deeply (limit max_stack_bytes)".to_owned()
                }
                other => other.message(),
            };
            let code = match &failure {
                _ if limit => LIMIT,
                Failure::Malformed { reason } if reason.starts_with(DEEP) => LIMIT,
                Failure::Malformed { reason } if reason.starts_with(UNUSABLE) => FAILED,
                Failure::Malformed { .. } => UNAVAILABLE,
                _ if busy => UNAVAILABLE,
                _ => FAILED,
            };
            let class = if busy { ErrorClass::Transient } else { ErrorClass::InvalidInput };
            ExpressionError { index, class, code: code.to_owned(), message, position: None }
        }
    }
}

fn from_evaluator(error: wit::NodeError, index: usize) -> ExpressionError {
    let place: Option<Place> =
        error.details.as_deref().and_then(|details| serde_json::from_str(details).ok());
    let code = if error.code.starts_with("expression-") { error.code } else { FAILED.to_owned() };
    let class = ErrorClass::InvalidInput;
    match place {
        Some(place) => ExpressionError {
            index: place.index,
            class,
            code,
            message: place.message,
            position: place.position,
        },
        None => ExpressionError { index, class, code, message: error.message, position: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_out_as_they_are() {
        let values = values(r#"{"values":[1.0,{"a":"]\\"},null]}"#, 3).unwrap();
        let texts: Vec<_> = values.iter().map(Json::text).collect();
        assert_eq!(texts, ["1.0", r#"{"a":"]\\"}"#, "null"]);
    }

    #[test]
    fn a_wrong_number_of_values_is_not_an_answer() {
        assert!(values(r#"{"values":[1]}"#, 2).is_err());
        assert!(values("[]", 0).is_err());
        assert!(values(r#"{"values":[[1,1e1000]]}"#, 1).unwrap_err().starts_with(UNUSABLE));
    }

    #[test]
    fn a_value_that_nests_too_deeply_is_a_limit() {
        let deep = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        assert!(values(&format!(r#"{{"values":[{deep}]}}"#), 1).is_ok());
        let error = values(&format!(r#"{{"values":[[{deep}]]}}"#), 1).unwrap_err();
        assert!(error.starts_with(DEEP), "{error}");
    }

    #[test]
    fn an_evaluator_that_gets_no_turn_is_no_fault_of_the_expression() {
        let class = |failure| explain(Trouble::Failure(failure), 0).class;
        for busy in [Failure::Busy { waited_ms: 1 }, Failure::Timeout { limit_ms: 1 }] {
            assert_eq!(class(busy), ErrorClass::Transient);
        }
        assert_eq!(class(Failure::Cpu { limit_ms: 1 }), ErrorClass::InvalidInput);
    }

    #[test]
    fn the_evaluators_error_keeps_its_place() {
        let error = from_evaluator(
            wit::NodeError {
                class: wit::ErrorClass::InvalidInput,
                code: "expression-empty".to_owned(),
                message: "no value".to_owned(),
                retry_after_ms: None,
                details: Some(r#"{"index":2,"message":"no value at all","position":4}"#.to_owned()),
            },
            0,
        );
        assert_eq!((error.index, error.position), (2, Some(4)));
        assert_eq!(
            (error.code.as_str(), error.message.as_str()),
            ("expression-empty", "no value at all")
        );
    }
}
