//! RunLimits control on the way in: which lanes a run belongs to, resolved from its event. How they are
//! kept is the store's.

use std::collections::BTreeSet;

use serde_json::Value;
use tombolo_core::id::TenantId;
use tombolo_core::json::Json;
use tombolo_core::ports::intake::Subscriber;
use tombolo_core::ports::sandbox::Evaluation;
use tombolo_core::ports::store::{Accept, Page, RunFilter, RunLimits, WhenBusy};
use tombolo_core::run::RunState;
use tombolo_core::workflow::LimitRules;

use crate::{Inner, Ports};

/// The flow of a run that `subscriber` starts for the event `payload`.
pub(crate) async fn of(
    ports: &Ports,
    tenant: TenantId,
    subscriber: &Subscriber,
    payload: &Json,
) -> RunLimits {
    let Some(rules) = &subscriber.limits else {
        return RunLimits::default();
    };
    let value = match resolve(ports, tenant, subscriber, rules, payload).await {
        Ok(value) => Some(value),
        Err(reason) => {
            // The event is not lost for that, and not let past its limits either.
            tracing::warn!(workflow = %subscriber.workflow, %reason, "a limit's key has no value");
            None
        }
    };
    rules.flow(value, subscriber.workflow)
}

async fn resolve(
    ports: &Ports,
    tenant: TenantId,
    subscriber: &Subscriber,
    rules: &LimitRules,
    payload: &Json,
) -> Result<Value, String> {
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
        ports.sandbox.evaluate(evaluation).await.map_err(|error| error.message)?
    };
    let evaluated = |number: usize| {
        let at = numbers.iter().position(|known| *known == number)?;
        values.get(at).map(Json::value)
    };
    rules.parameters.resolve(payload.value(), &evaluated).map_err(|error| error.to_string())
}

/// Runs at work that are looked at when one is replaced, the newest first.
const LOOKED_AT: u32 = 1_000;

/// The tenants some of whose runs may be replaced by these.
pub(crate) fn replacing(accepts: &[Accept]) -> BTreeSet<TenantId> {
    let replaces = |accept: &&Accept| {
        let mut rules = accept.runs.iter().filter_map(|run| run.flow.singleton.as_ref());
        rules.any(|rule| rule.when_busy == WhenBusy::Replace)
    };
    accepts.iter().filter(replaces).map(|accept| accept.event.tenant).collect()
}

/// Tells the drivers of this process which of their runs were replaced by those that were just
/// accepted: the store has put it on record. Other processes see it at the end of the lease.
pub(crate) async fn tell_replaced(inner: &Inner, tenants: BTreeSet<TenantId>) {
    let filter = RunFilter { states: vec![RunState::Running], ..RunFilter::default() };
    for tenant in tenants {
        let page = Page { after: None, limit: LOOKED_AT };
        match inner.ports.store.runs(tenant, &filter, page).await {
            Ok(runs) => {
                for summary in runs.iter().filter(|summary| summary.run.cancel_requested) {
                    inner.leases.cancel(summary.run.id);
                }
            }
            Err(error) => tracing::warn!(%error, "replaced runs go on until they are parked"),
        }
    }
}
