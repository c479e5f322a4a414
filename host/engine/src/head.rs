//! The pure beginning of a run, computed before its event is stored.
//!
//! A pure step needs no flush of its own, so a run that begins with such steps is stored with their
//! results, and a run that has no others is stored once and as it has ended. Unsafe steps that follow
//! have their intents stored with them. Nothing is answered or called before that write. If it does
//! not come, nothing has happened: whoever sent the event sends it again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;
use tombolo_core::ports::intake::Answer;
use tombolo_core::ports::store::{ClaimedRun, Ended, StepRow, StoreError};
use tombolo_core::run::{Run, RunState, Standing, StepState};
use tombolo_core::workflow::PlanNode;

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
    /// Steps that are done, and unsafe ones that are to be begun once they are stored.
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
    if !plan.nodes.iter().any(|node| node.inputs.is_empty() && belongs(node)) {
        return Ok(None);
    }
    let Ok(mut run) = Run::restore(plan, Vec::new()) else {
        return Ok(None);
    };
    let mut pending: FuturesUnordered<Pending> = FuturesUnordered::new();
    loop {
        for at in run.ready(desk.now()).map_err(corrupt)? {
            // The others stay handed out: the run does not rest while they are left.
            if belongs(run.node(at)) {
                pending.push(desk.prepare(&run, at));
            }
        }
        let Ok(done) = tokio::time::timeout_at(deadline, pending.next()).await else {
            break;
        };
        match done.transpose()? {
            None => break,
            Some(Done::Prepared(at, Prepared::Input(input))) if run.node(at).needs_intent() => {
                if run.admit(input.text().len()).is_ok() {
                    run.start(at, Some(input), desk.now()).map_err(corrupt)?;
                }
            }
            Some(Done::Prepared(at, prepared @ (Prepared::Skip | Prepared::Input(_)))) => {
                pending.extend(desk.begin(&mut run, at, prepared).await?);
            }
            // Left to the driver, which knows what to do; what is done stays done.
            Some(Done::Prepared(at, _)) if run.node(at).needs_intent() => {}
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
    let under_way = run.under_way().into_iter();
    let intended = under_way.filter(|at| run.node(*at).needs_intent());
    let intended: Vec<_> = intended.map(|at| run.step(at).key()).collect();
    let mut steps = run.take_changes();
    if ended.is_none() && !steps.iter().all(|step| done(step) || step.state == StepState::Running) {
        // Something died: the driver says so, with all that follows.
        return Head::default();
    }
    steps.retain(|step| done(step) || intended.contains(&step.key()));
    Head { steps, ended, answer }
}

/// True if the node has to do with the head: its result or its intent.
fn belongs(node: &PlanNode) -> bool {
    node.computes() || node.needs_intent()
}
