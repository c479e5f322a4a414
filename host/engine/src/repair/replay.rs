//! Replays: new runs with old input.

use std::sync::Arc;

use serde_json::json;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, RunId};
use tombolo_core::ports::intake::Subscriptions;
use tombolo_core::ports::repair::{By, RepairError, ReplayOrder, ReplayPlan, VersionChoice};
use tombolo_core::ports::store::{
    Accept, NewEvent, NewRun, RunLimits, RunView, StepRow, StoreError,
};
use tombolo_core::run::{CannotRepair, From, Replay, Run};
use tombolo_core::workflow::Plan;

use super::opened::{damaged, no_plan};
use crate::{Inner, flow};

/// A replay that can be started.
pub(super) struct Planned {
    pub plan: ReplayPlan,
    steps: Vec<StepRow>,
    view: RunView,
    timeout: std::time::Duration,
}

/// What a replay would do.
pub(super) async fn plan(inner: &Inner, order: &ReplayOrder) -> Result<Planned, RepairError> {
    let view = inner.ports.store.run(order.tenant, order.run).await?;
    let view = view.ok_or(RepairError::UnknownRun(order.run))?;
    let row = &view.run;
    if !row.state.ended() {
        return Err(RepairError::NotEnded(row.state));
    }
    let of = |version| inner.ports.registry.plan(order.tenant, row.workflow, version);
    let old = of(row.version).await.map_err(no_plan)?;
    let version = match order.version {
        None => row.version,
        Some(VersionChoice::Number(number)) => number,
        Some(VersionChoice::Latest) => {
            let live = inner.ports.registry.workflow(order.tenant, &view.workflow_name);
            live.map_or(row.version, |live| live.version)
        }
    };
    let new: Arc<Plan> =
        if version == row.version { old.clone() } else { of(version).await.map_err(no_plan)? };
    let old = Run::restore(old, view.steps.clone()).map_err(damaged)?;
    let Replay { steps, repeats, unknown } = tombolo_core::run::replay(&old, &new, &order.from)?;
    if let (false, Some(step)) = (order.repeat_unknown, unknown.first()) {
        return Err(CannotRepair::Unknown { node: step.node.clone() }.into());
    }
    let done = steps.iter().filter(|step| step.item == 0 && step.state.ended());
    let takes_over = done.map(|step| step.node.clone()).collect();
    let plan = ReplayPlan { version, takes_over, repeats };
    Ok(Planned { plan, steps, timeout: new.timeout, view })
}

/// Stores the new run. The same order by the same dedupe key is the same run.
pub(super) async fn start(
    inner: &Arc<Inner>,
    order: ReplayOrder,
    by: By,
) -> Result<(RunId, ReplayPlan), RepairError> {
    let planned = plan(inner, &order).await?;
    let (plan, now) = (planned.plan.clone(), inner.ports.clock.now());
    let mut accept = accept(inner, &order, planned, now).await?;
    let new = accept.runs[0].id;
    let detail = json!({
        "reason": by.reason, "from": from_text(&order.from), "version": plan.version, "run": new,
        "repeat_unknown": order.repeat_unknown,
    });
    accept.audit = Some(by.entry(now, "run-replayed", order.run.to_string(), detail));
    let accepted = inner.ports.store.accept(vec![accept]).await?;
    let run = accepted.first().and_then(|accepted| accepted.runs().first().copied());
    inner.wake.notify_one();
    Ok((run.unwrap_or(new), plan))
}

async fn accept(
    inner: &Inner,
    order: &ReplayOrder,
    planned: Planned,
    now: Timestamp,
) -> Result<Accept, StoreError> {
    let row = planned.view.run;
    let id = EventId::new(&*inner.ports.ids);
    let live = inner.ports.registry.workflow(order.tenant, &planned.view.workflow_name);
    let mut flow = match &live {
        Some(live) => {
            let payload = &planned.view.event.payload;
            let flow = flow::of(&inner.ports, order.tenant, live, payload).await;
            flow.map_err(|busy| flow::overloaded(&busy))?
        }
        None => RunLimits::default(),
    };
    // Somebody asked for this run, and for no other.
    (flow.debounce, flow.singleton) = (None, None);
    Ok(Accept {
        event: NewEvent {
            id,
            tenant: order.tenant,
            source: order.source(),
            dedupe_key: order.dedupe_key.clone().unwrap_or_else(|| id.to_string()),
            fingerprint: None,
            // The same input, to the letter: expressions see what they saw.
            payload: planned.view.event.payload,
            correlation_id: row.correlation_id,
            received_at: now,
        },
        runs: vec![NewRun {
            id: RunId::new(&*inner.ports.ids),
            workflow: row.workflow,
            version: planned.plan.version,
            trigger: row.trigger,
            deadline: Some(now.plus(planned.timeout)),
            lease: None,
            parent: None,
            depth: 0,
            replay_of: Some(order.run),
            steps: planned.steps,
            ended: None,
            flow,
        }],
        audit: None,
    })
}

fn from_text(from: &From) -> String {
    match from {
        From::Start => "start".to_owned(),
        From::Failed => "failed".to_owned(),
        From::Node(node) => node.clone(),
    }
}
