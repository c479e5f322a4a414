//! Evaluates a trigger's expressions: `split` and `dedupe`.

use serde_json::Value;
use tombolo_core::ports::intake::Hook;
use tombolo_core::ports::sandbox::Evaluation;
use tombolo_core::workflow::Parameters;

use crate::IngressState;
use crate::problem::Problem;

/// The value of the expression `text` over `scope`. `which` names it in an error.
pub(crate) async fn value(
    state: &IngressState,
    hook: &Hook,
    which: &str,
    text: &str,
    scope: &Value,
) -> Result<Value, Problem> {
    let failed = |message: &str| Problem::expression(which, text, message);
    // Checked when the workflow was applied.
    let prepared = Parameters::prepare(&Value::String(text.to_owned()))
        .map_err(|_| failed("it is no expression"))?;
    let (numbers, expressions): (Vec<usize>, Vec<String>) =
        prepared.jq().map(|(number, jq)| (number, jq.to_owned())).unzip();
    let values = if expressions.is_empty() {
        Vec::new()
    } else {
        let (workflow, version) = hook.owner;
        let evaluation = Evaluation {
            tenant: hook.tenant,
            workflow,
            version,
            scope: scope.to_string(),
            expressions,
            now: state.clock.now(),
        };
        state.sandbox.evaluate(evaluation).await.map_err(|error| failed(&error.message))?
    };
    let evaluated = |number: usize| {
        numbers
            .iter()
            .position(|known| *known == number)
            .and_then(|at| values.get(at))
            .map(|json| json.value())
    };
    prepared.resolve(scope, &evaluated).map_err(|error| failed(&error.message))
}
