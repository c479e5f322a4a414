//! What a person does with runs that do not go on. Each repair is asked of the laws first, on what
//! is stored; then the run is leased, repaired and given back in one write.

mod children;
mod opened;
mod replay;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde_json::{Value, json};
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::json::Json;
use tombolo_core::ports::repair::{By, Redriven, RepairError, Repairs, ReplayOrder, ReplayPlan};
use tombolo_core::ports::sandbox::Outcome;
use tombolo_core::ports::store::{Signal, Signalled, StepKey};
use tombolo_core::run::{
    CannotRepair, Explanation, Redrive, Run, StepState, Surroundings, explain, explain_unusable,
};
use tombolo_core::workflow::Builtin;

use crate::registry::NoPlan;
use crate::{Engine, alerts};
use opened::{Journals, Opened, damaged, stored};

#[async_trait]
impl Repairs for Engine {
    async fn redrive(
        &self,
        tenant: TenantId,
        run: RunId,
        redrive: Redrive,
        by: By,
    ) -> Result<Redriven, RepairError> {
        self.redrive_with_children(tenant, run, redrive, by).await
    }

    async fn resolve(
        &self,
        tenant: TenantId,
        run: RunId,
        step: StepKey,
        output: Json,
        by: By,
    ) -> Result<(), RepairError> {
        let outcome = Outcome { output: output.clone(), ports: Vec::new() };
        let now = self.0.ports.clock.now();
        let (mut looked_at, _) = stored(&self.0, tenant, run).await?;
        looked_at.resolve(&step, outcome.clone(), now)?;

        let mut opened = Opened::open(&self.0, tenant, run).await?;
        let resolved = match opened.run.resolve(&step, outcome, now) {
            Ok(resolved) => {
                let all = Redrive::default();
                self.revive_children(&mut opened.run, &resolved, (tenant, &all, &by)).await
            }
            Err(error) => Err(error.into()),
        };
        if let Err(error) = resolved {
            opened.give_back().await?;
            return Err(error);
        }
        let detail = json!({"reason": by.reason, "output": output});
        opened.record(by, "step-resolved", &step, detail);
        opened.go_on(vec![step], Journals::Forget).await
    }

    async fn discard(
        &self,
        tenant: TenantId,
        run: RunId,
        step: StepKey,
        by: By,
    ) -> Result<(), RepairError> {
        let now = self.0.ports.clock.now();
        let subject = subject(run, &step);
        let reason = by.reason.clone().unwrap_or_default();
        let entry = by.entry(now, "letter-discarded", subject, Value::Null);
        let known = self.0.ports.store.discard(tenant, run, &step, reason, entry).await?;
        if known {
            alerts::fewer(&self.0, tenant).await;
            return Ok(());
        }
        let (looked_at, _) = stored(&self.0, tenant, run).await?;
        let Some(at) = looked_at.find(&step.node, step.item) else {
            return Err(CannotRepair::NoSuchStep { node: step.node, item: step.item }.into());
        };
        let state = looked_at.step(at).state;
        if matches!(state, StepState::Dead | StepState::Unknown) {
            return Err(CannotRepair::NoLetter { node: step.node }.into());
        }
        Err(CannotRepair::NotDead { node: step.node, state }.into())
    }

    async fn plan_replay(&self, order: &ReplayOrder) -> Result<ReplayPlan, RepairError> {
        replay::plan(&self.0, order).await.map(|planned| planned.plan)
    }

    async fn replay(&self, order: ReplayOrder, by: By) -> Result<(RunId, ReplayPlan), RepairError> {
        replay::start(&self.0, order, by).await
    }

    async fn explain(&self, tenant: TenantId, run: RunId) -> Result<Explanation, RepairError> {
        let store = &self.0.ports.store;
        let view = store.run(tenant, run).await?.ok_or(RepairError::UnknownRun(run))?;
        let (row, available_at) = (view.run, view.available_at);
        let plan = match self.0.ports.registry.plan(tenant, row.workflow, row.version).await {
            Ok(plan) => plan,
            Err(NoPlan::Unusable { code, message }) => {
                return Ok(explain_unusable(&row, code, &message));
            }
            Err(NoPlan::Store(error)) => return Err(error.into()),
        };
        let restored = Run::restore(plan, view.steps).map_err(damaged)?;
        let mut paused = BTreeMap::new();
        let names: BTreeSet<&String> =
            restored.plan().nodes.iter().filter_map(|node| node.connection.as_ref()).collect();
        for name in names {
            let connection = store.connection(tenant, name).await?;
            if let Some(pause) = connection.and_then(|connection| connection.paused) {
                paused.insert(name.clone(), pause);
            }
        }
        let now = self.0.ports.clock.now();
        let around = Surroundings { row: &row, available_at, paused: &paused, now };
        Ok(explain(&restored, &around))
    }

    async fn signal(
        &self,
        tenant: TenantId,
        run: RunId,
        step: StepKey,
        body: Json,
        by: By,
    ) -> Result<Signalled, RepairError> {
        let (looked_at, state) = stored(&self.0, tenant, run).await?;
        let at = looked_at.find(&step.node, step.item);
        let builtin = at.and_then(|at| looked_at.node(at).builtin());
        let (Some(at), true) = (at, builtin.is_some_and(Builtin::has_address)) else {
            return Err(RepairError::TakesNoSignal(step.node));
        };
        if state.ended() {
            return Ok(Signalled::Ended(state));
        }
        if looked_at.step(at).state.ended() {
            return Ok(Signalled::Taken);
        }
        let at = self.0.ports.clock.now();
        // What a callback brings may be secret, and stands in its step.
        let detail = match builtin {
            Some(Builtin::Approval) => body.value().clone(),
            _ => Value::Null,
        };
        let entry = by.entry(at, "step-signalled", subject(run, &step), detail);
        let signal = Signal { tenant, run, step, body, at };
        let kept = self.0.ports.store.signal(signal, Some(entry)).await?;
        if kept == Signalled::Kept && !self.0.leases.tell_news(run) {
            self.0.wake.notify_one();
        }
        Ok(kept)
    }
}

/// Names a step in the record of what people did.
fn subject(run: RunId, step: &StepKey) -> String {
    format!("{run}/steps/{}/{}", step.node, step.item)
}
