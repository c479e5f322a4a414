//! Redrives of runs with those they have called. A step that waits for a run it called goes on when
//! that run does: redriven, too, at its own dead steps. So no effect of it happens twice.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use serde_json::json;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::repair::{By, Redriven, RepairError};
use tombolo_core::ports::sandbox::Outcome;
use tombolo_core::ports::store::{LetterCursor, LetterFilter, StepKey};
use tombolo_core::run::{CannotRepair, Redrive, Repaired, Run, RunState, StepAt};

use super::opened::{Journals, Opened, stored};
use crate::Engine;

/// Letters that are read at once.
const PAGE: u32 = 1_000;

/// Whose runs are let go on, how, and by whom.
type Wish<'a> = (TenantId, &'a Redrive, &'a By);

impl Engine {
    pub(super) fn redrive_with_children(
        &self,
        tenant: TenantId,
        run: RunId,
        redrive: Redrive,
        by: By,
    ) -> BoxFuture<'_, Result<Redriven, RepairError>> {
        Box::pin(async move {
            self.check(tenant, run, &redrive).await?;
            let mut opened = Opened::open(&self.0, tenant, run).await?;
            let chosen = match self.revive(&mut opened, run, (tenant, &redrive, &by)).await {
                Ok(chosen) => chosen,
                Err(error) => {
                    opened.give_back().await?;
                    return Err(error);
                }
            };
            let journals = if redrive.forget_calls { Journals::Forget } else { Journals::Keep };
            opened.go_on(chosen.clone(), journals).await?;
            Ok(Redriven { steps: chosen })
        })
    }

    /// Asks the laws, for the run and for those that it has called, before anything is written.
    fn check<'a>(
        &'a self,
        tenant: TenantId,
        run: RunId,
        redrive: &'a Redrive,
    ) -> BoxFuture<'a, Result<(), RepairError>> {
        Box::pin(async move {
            let given_up = self.given_up(tenant, run, redrive).await?;
            let (mut looked_at, _) = stored(&self.0, tenant, run).await?;
            let repaired = looked_at.redrive(redrive, &given_up)?;
            let all = of_child(redrive);
            for at in repaired.all() {
                let Some(child) = looked_at.step(at).child else {
                    continue;
                };
                let view = self.0.ports.store.run(tenant, child).await?;
                if view.is_some_and(|view| is_redriven(view.run.state)) {
                    self.check(tenant, child, &all).await?;
                }
            }
            Ok(())
        })
    }

    async fn revive(
        &self,
        opened: &mut Opened,
        run: RunId,
        wish: Wish<'_>,
    ) -> Result<Vec<StepKey>, RepairError> {
        let (tenant, redrive, by) = wish;
        let given_up = self.given_up(tenant, run, redrive).await?;
        let before = opened.run.clone();
        let repaired = opened.run.redrive(redrive, &given_up)?;
        self.revive_children(&mut opened.run, &repaired, wish).await?;
        let keys: Vec<StepKey> = repaired.chosen.iter().map(|at| before.step(*at).key()).collect();
        for (at, key) in repaired.chosen.iter().zip(&keys) {
            let step = before.step(*at);
            // The input stays in the step, unless another takes its place.
            let old_input = redrive.input.as_ref().and(step.input.as_ref());
            let detail = json!({
                "reason": by.reason, "was": step.state, "error": step.error, "old_input": old_input,
                "new_input": redrive.input, "forget_calls": redrive.forget_calls,
                "repeat_unknown": redrive.repeat_unknown,
            });
            opened.record(by.clone(), "step-redriven", key, detail);
        }
        Ok(keys)
    }

    /// Lets the runs go on that were called by steps which go on.
    pub(super) async fn revive_children(
        &self,
        run: &mut Run,
        repaired: &Repaired,
        wish: Wish<'_>,
    ) -> Result<(), RepairError> {
        for at in repaired.all() {
            self.revive_child(run, at, wish).await?;
        }
        Ok(())
    }

    async fn revive_child(
        &self,
        run: &mut Run,
        at: StepAt,
        (tenant, redrive, by): Wish<'_>,
    ) -> Result<(), RepairError> {
        // One that was resolved needs no other run.
        let child = run.step(at).child.filter(|_| !run.step(at).state.ended());
        let Some(child) = child else {
            return Ok(());
        };
        let Some(view) = self.0.ports.store.run(tenant, child).await? else {
            return Ok(());
        };
        if view.run.state == RunState::Succeeded {
            let output = view.run.output.unwrap_or_default();
            let outcome = Outcome { output, ports: Vec::new() };
            run.wait_again(at).map_err(CannotRepair::from)?;
            let now = self.0.ports.clock.now();
            run.resume(at, Ok(outcome), now).map_err(CannotRepair::from)?;
            return Ok(());
        }
        if is_redriven(view.run.state) {
            self.redrive_with_children(tenant, child, of_child(redrive), by.clone()).await?;
        }
        run.wait_again(at).map_err(|illegal| CannotRepair::from(illegal).into())
    }

    /// Steps of the run that somebody has given up, if all its dead ones are to be redriven.
    async fn given_up(
        &self,
        tenant: TenantId,
        run: RunId,
        redrive: &Redrive,
    ) -> Result<BTreeSet<StepKey>, RepairError> {
        let mut given_up = BTreeSet::new();
        if redrive.step.is_some() {
            return Ok(given_up);
        }
        let filter = LetterFilter { run: Some(run), discarded: true, ..LetterFilter::default() };
        let mut after = None;
        loop {
            let page = self.0.ports.store.letters(tenant, &filter, after, PAGE).await?;
            after = page.last().map(|last| LetterCursor { run, step: last.step.clone() });
            given_up.extend(page.into_iter().map(|letter| letter.step));
            if after.is_none() {
                return Ok(given_up);
            }
        }
    }
}

/// How a called run is redriven with its caller.
fn of_child(redrive: &Redrive) -> Redrive {
    Redrive { step: None, input: None, ..redrive.clone() }
}

fn is_redriven(state: RunState) -> bool {
    matches!(state, RunState::Failed | RunState::Cancelled)
}
