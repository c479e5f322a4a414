//! Redriving many runs, one by one, and seeing how the first ones end.

use std::time::Duration;

use tokio::time::Instant;
use tombolo_core::id::RunId;
use tombolo_core::ports::intake::Follow;
use tombolo_core::ports::repair::By;
use tombolo_core::run::{CannotRepair, Redrive, RunState};

use super::redrive_many::{Outcome, RunRedriven};
use super::{canary, select};
use crate::access::Caller;
use crate::app::App;
use crate::extract::Deadline;
use crate::problem::Problem;
use crate::routes::bulk::{self, BulkRepair, Refused, Stopped};
use crate::routes::repairs::{self, StepName};

/// Steps of a run that are named.
const MAX_STEPS: usize = 100;

/// Whether anything is redriven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Only say what would be.
    Look,
    /// Redrive, so many of them first.
    Redrive {
        /// How many are followed to their ends.
        canaries: usize,
    },
}

/// The runs on their way.
pub(super) struct Redriving<'a> {
    app: &'a App,
    caller: &'a Caller,
    redrive: Redrive,
    by: By,
    pub runs: Vec<RunRedriven>,
    mode: Mode,
    deadline: Deadline,
    /// Canaries under way, by position.
    followed: Vec<(usize, Box<dyn Follow>)>,
}

impl BulkRepair for Redriving<'_> {
    async fn one(&mut self, at: usize) -> Result<(), Problem> {
        let id = self.runs[at].run;
        let (tried, outcome) = match self.mode {
            Mode::Look => (self.look(id).await, Outcome::Possible),
            Mode::Redrive { canaries } => (self.redrive(at, canaries).await, Outcome::Redriven),
        };
        let run = &mut self.runs[at];
        match tried {
            Ok(mut steps) => {
                run.outcome = outcome;
                run.more_steps = steps.len() > MAX_STEPS;
                steps.truncate(MAX_STEPS);
                run.steps = steps;
                Ok(())
            }
            Err(problem) => {
                if !bulk::stops(&problem) {
                    run.outcome = Outcome::Refused;
                    run.problem = Some(Refused::from(&problem));
                }
                Err(problem)
            }
        }
    }

    async fn check(&mut self) -> Result<(), Stopped> {
        let patience = self.app.settings().max_wait.min(bulk::time_left(self.deadline));
        let until = Instant::now() + patience;
        let mut goes_on = None;
        for (at, changes) in std::mem::take(&mut self.followed) {
            let run = self.runs[at].run;
            let ended = canary::end_of(self.app, self.caller, run, changes, until).await;
            self.runs[at].ended = ended;
            goes_on = goes_on.or(ended.is_none().then_some(run));
        }
        let bad = |run: &&RunRedriven| run.ended.is_some_and(|state| state != RunState::Succeeded);
        match (self.runs.iter().find(bad), goes_on) {
            (Some(run), _) => Err(failed(run.run)),
            (None, Some(run)) => Err(not_ended(run, patience)),
            (None, None) => Ok(()),
        }
    }
}

impl<'a> Redriving<'a> {
    /// Nothing is done yet.
    pub fn new(
        app: &'a App,
        caller: &'a Caller,
        (redrive, by): (Redrive, By),
        runs: Vec<RunRedriven>,
        (mode, deadline): (Mode, Deadline),
    ) -> Self {
        Self { app, caller, redrive, by, runs, mode, deadline, followed: Vec::new() }
    }

    /// What would try again. Whether somebody works on the run shows only when it is tried.
    async fn look(&mut self, run: RunId) -> Result<Vec<StepName>, Problem> {
        let (store, tenant) = (&*self.app.ports.store, self.caller.tenant);
        if !self.redrive.repeat_unknown {
            let unknown = select::unknown_of(store, tenant, run).await?;
            if let Some(node) = unknown {
                return Err(CannotRepair::Unknown { node }.into());
            }
        }
        // One more than is named tells that there are more.
        let most = u32::try_from(MAX_STEPS + 1).unwrap_or(u32::MAX);
        let letters = select::letters_of(store, tenant, run, most).await?;
        Ok(letters.into_iter().map(|letter| letter.step.into()).collect())
    }

    async fn redrive(&mut self, at: usize, canaries: usize) -> Result<Vec<StepName>, Problem> {
        let (run, tenant) = (self.runs[at].run, self.caller.tenant);
        // Interest first: the end of a short run is not missed.
        let changes =
            (self.followed.len() < canaries).then(|| self.app.ports.intake.follow(tenant, run));
        let repairs = self.app.ports.repairs.clone();
        let (redrive, by) = (self.redrive.clone(), self.by.clone());
        let work = async move { repairs.redrive(tenant, run, redrive, by).await };
        let redriven = repairs::to_the_end(work).await?;
        self.followed.extend(changes.map(|changes| (at, changes)));
        Ok(redriven.steps.into_iter().map(StepName::from).collect())
    }
}

fn failed(run: RunId) -> Stopped {
    let message = format!("{run} was tried first and did not come to a good end");
    Stopped { code: "canary-failed", message }
}

fn not_ended(run: RunId, patience: Duration) -> Stopped {
    let message = format!(
        "{run} was tried first and has not ended within {} s; it goes on",
        patience.as_secs()
    );
    Stopped { code: "canary-not-ended", message }
}
