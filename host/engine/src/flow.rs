//! Flow control on the way in: which lanes a run belongs to, resolved from its event. How they are
//! kept is the store's.

use serde_json::Value;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::TenantId;
use tombolo_core::json::Json;
use tombolo_core::ports::intake::Subscriber;
use tombolo_core::ports::sandbox::Evaluation;
use tombolo_core::ports::store::{Accept, RunLimits, StoreError, WhenBusy};
use tombolo_core::workflow::LimitRules;

use crate::Ports;

/// The flow of a run that `subscriber` starts for the event `payload`.
///
/// # Errors
/// If the evaluator has no room, with class `transient`. Then nobody knows what the run has to wait
/// for, and it cannot start.
pub(crate) async fn of(
    ports: &Ports,
    tenant: TenantId,
    subscriber: &Subscriber,
    payload: &Json,
) -> Result<RunLimits, StepError> {
    let Some(rules) = &subscriber.limits else {
        return Ok(RunLimits::default());
    };
    let value = match resolve(ports, tenant, subscriber, rules, payload).await {
        Ok(value) => Some(value),
        Err(busy) if busy.class == ErrorClass::Transient => return Err(busy),
        Err(error) => {
            // The event is not lost for that, and not let past its limits either.
            let reason = &error.message;
            tracing::warn!(workflow = %subscriber.workflow, %reason, "a limit's key has no value");
            None
        }
    };
    Ok(rules.flow(value, subscriber.workflow))
}

/// As an event is told that cannot be taken for lack of room.
pub(crate) fn overloaded(busy: &StepError) -> StoreError {
    StoreError::Overloaded(format!("a limit's key was not evaluated: {}", busy.message))
}

async fn resolve(
    ports: &Ports,
    tenant: TenantId,
    subscriber: &Subscriber,
    rules: &LimitRules,
    payload: &Json,
) -> Result<Value, StepError> {
    let (numbers, expressions): (Vec<usize>, Vec<String>) =
        rules.parameters.jq().map(|(number, text)| (number, text.to_owned())).unzip();
    let values = if expressions.is_empty() {
        Vec::new()
    } else {
        let evaluation = Evaluation {
            tenant,
            workflow: subscriber.workflow,
            version: subscriber.version,
            scope: payload.text().to_owned(),
            expressions,
            now: ports.clock.now(),
        };
        let evaluated = ports.sandbox.evaluate(evaluation).await;
        evaluated.map_err(|error| StepError::new(error.class, &error.code, error.message))?
    };
    let evaluated = |number: usize| {
        let at = numbers.iter().position(|known| *known == number)?;
        values.get(at).map(Json::value)
    };
    rules
        .parameters
        .resolve(payload.value(), &evaluated)
        .map_err(|error| StepError::new(ErrorClass::InvalidInput, error.code, error.to_string()))
}

/// True if accepting these asks for the end of runs whose places they take.
pub(crate) fn replaces<'a>(accepts: impl IntoIterator<Item = &'a Accept>) -> bool {
    let mut runs = accepts.into_iter().flat_map(|accept| &accept.runs);
    runs.any(|run| {
        run.flow.singleton.as_ref().is_some_and(|rule| rule.when_busy == WhenBusy::Replace)
    })
}
