//! The pure beginning of a run, computed before its event is stored.
//!
//! A pure step needs no flush of its own, so a run that begins with such steps is stored with their
//! results, and a run that has no others is stored once and as it has ended. Nothing is answered
//! before that write. If it does not come, nothing has happened: whoever sent the event sends it
//! again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;
use tombolo_core::effect::Effect;
use tombolo_core::ports::intake::Answer;
use tombolo_core::ports::store::{ClaimedRun, Ended, StepRow, StoreError};
use tombolo_core::run::{Run, RunState, Standing, StepState};
use tombolo_core::workflow::{Builtin, PlanNode, Uses};

use crate::attempt::Prepared;
use crate::desk::Desk;
use crate::drive::{Done, Pending};
use crate::errors::corrupt;
use crate::{Inner, respond};

/// The longest that an event may wait for the pure beginning of its runs before it is stored. What
/// is not done by then is done after it.
pub(crate) const WITHIN: Duration = Duration::from_millis(20);

/// What is known of a run before it is stored.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// Steps that are done.
    pub steps: Vec<StepRow>,
    /// Set if nothing is left to do.
    pub ended: Option<Ended>,
    /// What whoever waits for the run is told once it is stored.
    pub answer: Option<Answer>,
}

/// Computes what can be computed of `run` by `deadline`. Whatever does not go well there is left to
/// the driver, which comes to the same result and knows what to do about it.
pub(crate) async fn compute(inner: &Arc<Inner>, run: ClaimedRun, deadline: Instant) -> Head {
    let id = run.run.id;
    match try_compute(inner, run, deadline).await {
        Ok(head) => head.unwrap_or_default(),
        Err(error) => {
            tracing::warn!(run = %id, %error, "the beginning of the run is left for later");
            Head::default()
        }
    }
}

async fn try_compute(
    inner: &Arc<Inner>,
    claimed: ClaimedRun,
    deadline: Instant,
) -> Result<Option<Head>, StoreError> {
    let (mut desk, ..) = Desk::new(inner, claimed);
    let Ok(plan) = desk.plan().await else {
        return Ok(None);
    };
    if !plan.nodes.iter().any(|node| node.inputs.is_empty() && is_pure(node)) {
        return Ok(None);
    }
    let Ok(mut run) = Run::restore(plan, Vec::new()) else {
        return Ok(None);
    };
    let mut pending: FuturesUnordered<Pending> = FuturesUnordered::new();
    loop {
        for at in run.ready(desk.now()).map_err(corrupt)? {
            // The others stay handed out: the run does not rest while they are left.
            if is_pure(run.node(at)) {
                pending.push(desk.prepare(&run, at));
            }
        }
        let Ok(done) = tokio::time::timeout_at(deadline, pending.next()).await else {
            break;
        };
        match done.transpose()? {
            None => break,
            Some(Done::Prepared(at, prepared @ (Prepared::Skip | Prepared::Input(_)))) => {
                pending.extend(desk.begin(&mut run, at, prepared).await?);
            }
            Some(Done::Attempted(at, invoked)) if invoked.result.is_ok() => {
                desk.finish(&mut run, at, invoked).await?;
            }
            Some(_) => return Ok(None),
        }
    }
    Ok(Some(head(&desk, &mut run)))
}

fn head(desk: &Desk, run: &mut Run) -> Head {
    let ended = match run.standing() {
        Standing::Ended { state, output, error: None } => {
            Some(Ended { state, output, at: desk.now() })
        }
        _ => None,
    };
    let answer = match (run.response(), &ended) {
        (Some(response), ended) => {
            let state = ended.as_ref().map_or(RunState::Running, |ended| ended.state);
            Some(respond::from_node(response, state))
        }
        (None, Some(Ended { state, output, .. })) => {
            Some(respond::from_end(desk.row.id, *state, output.clone(), None))
        }
        (None, None) => None,
    };
    let done = |step: &StepRow| matches!(step.state, StepState::Succeeded | StepState::Skipped);
    let mut steps = run.take_changes();
    if ended.is_none() && !steps.iter().all(|step| done(step) || step.state == StepState::Running) {
        // Something died: the driver says so, with all that follows.
        return Head::default();
    }
    steps.retain(done);
    Head { steps, ended, answer }
}

/// True if the node can be computed here: again and again with the same result.
fn is_pure(node: &PlanNode) -> bool {
    let computes = match node.uses {
        Uses::Builtin(builtin) => matches!(builtin, Builtin::Set | Builtin::Respond),
        Uses::Plugin { .. } => node.connection.is_none(),
    };
    computes && node.effect == Effect::Pure && node.each.is_none()
}
