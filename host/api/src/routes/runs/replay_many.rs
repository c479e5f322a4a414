//! `POST /api/v1/runs/replay`: new runs with the input of many old ones.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::{Deserialize, Serialize};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::ports::repair::By;
use tombolo_core::ports::store::{Page as StorePage, RunFilter, RunSummary};
use tombolo_core::run::RunState;
use utoipa::ToSchema;

use super::list::{read_cursor, write_cursor};
use super::replaying::{BeginAt, How, OnVersion, PlanShape};
use crate::access::{Caller, quota};
use crate::app::{App, Shared};
use crate::extract::{Deadline, IdempotencyKey, Incoming, fingerprint, invalid, read};
use crate::problem::Problem;
use crate::routes::bulk::{self, BulkRepair, Pace, Refused, Stopped};
use crate::routes::repairs;
use crate::routes::shapes::run_states;

/// Which runs are repeated, and how.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayMany {
    #[serde(default)]
    filter: RunsForm,
    from: BeginAt,
    /// `"same"` (each run's own), `"latest"` (the live one), or a number; `"same"` if left out.
    #[serde(default)]
    #[schema(value_type = Value, example = "same")]
    version: OnVersion,
    /// Repeat effects although nobody knows whether they happened.
    #[serde(default)]
    repeat_unknown: bool,
    /// Only say what would be; nothing is started.
    #[serde(default)]
    dry_run: bool,
    /// At most so many runs a second, 1 to 1,000; 10 if left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000)]
    rate: Option<u32>,
    /// At most so many runs, 1 to 1,000; 100 if left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000)]
    limit: Option<usize>,
    /// `next` of the answer before, to go on with the rest.
    #[serde(default)]
    cursor: Option<String>,
    /// For the record; at most 2,000 bytes.
    #[serde(default)]
    reason: Option<String>,
}

/// Which runs. Every field narrows it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct RunsForm {
    /// Of the workflow of this name.
    workflow: Option<String>,
    /// In one of these states; `["failed"]` if left out. Only runs that have ended can be repeated.
    #[schema(schema_with = run_states)]
    states: Vec<RunState>,
    /// Accepted at or after this time (RFC 3339).
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Accepted before this time (RFC 3339).
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

impl Default for RunsForm {
    fn default() -> Self {
        Self { workflow: None, states: vec![RunState::Failed], since: None, until: None }
    }
}

/// What became of many runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct ManyReplayed {
    dry_run: bool,
    /// Those that match, the newest first.
    runs: Vec<RunReplayed>,
    /// How many were started (of a dry run: could be started).
    replayed: usize,
    refused: usize,
    /// Send it as `cursor` to go on with the rest; null if there is none.
    next: Option<String>,
    /// Set if it stopped before the last run.
    stopped: Option<Stopped>,
}

/// What became of one run.
#[derive(Serialize, ToSchema)]
struct RunReplayed {
    /// The old one.
    #[schema(value_type = String)]
    run: RunId,
    workflow: String,
    outcome: Outcome,
    /// The new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    new: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanShape>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Refused>,
}

/// What became of one run, in a word: `replayed`, `possible` (of a dry run), `refused`, `not-tried`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ReplayOutcome)]
enum Outcome {
    /// A new run is on its way.
    Replayed,
    /// There would be one.
    Possible,
    /// There is none.
    Refused,
    /// It was not its turn.
    NotTried,
}

/// Repeats the runs that match, one by one at a bounded rate, for as long as an answer may take. With
/// an `Idempotency-Key`, the same request again starts nothing twice.
#[utoipa::path(
    post,
    path = "/api/v1/runs/replay",
    tag = "runs",
    operation_id = "replayRuns",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters. The same request with the same key gives the same new runs.")),
    request_body(content = ReplayMany),
    responses((status = 200, description = "What became of each run", body = ManyReplayed))
)]
pub(crate) async fn replay_many(
    State(app): State<Shared>,
    caller: Caller,
    deadline: Deadline,
    uri: Uri,
    request: Incoming,
) -> Result<Json<ManyReplayed>, Problem> {
    let key = IdempotencyKey::of(&request.headers)?;
    let body = request.json(&app, app.settings().max_body_bytes).await?;
    let form: ReplayMany = read(&body)?;
    let (limit, rate) = (bulk::limit(form.limit)?, bulk::rate(form.rate)?);
    let key = key.map(|key| (key, fingerprint("POST", uri.path(), body.value())));
    let (from, version, repeat_unknown) = (form.from.into(), form.version, form.repeat_unknown);
    let how = How { from, version, repeat_unknown, key };
    let by = repairs::by(&caller, form.reason)?;
    let (runs, more) = select(&app, &caller, form.filter, form.cursor.as_deref(), limit).await?;
    let pace = Pace::new(runs.len(), rate, bulk::time_left(deadline));
    let pace = if form.dry_run { pace.at_once() } else { pace };
    let dry_run = form.dry_run;
    let mut repair = Replaying { app: &app, caller: &caller, how, by, dry_run, runs };
    let stopped = bulk::work(&app, pace, &mut repair).await;
    let next = repair.next().or(form.cursor).filter(|_| more || stopped.is_some());
    let count = |outcome| repair.runs.iter().filter(|run| run.outcome == outcome).count();
    Ok(Json(ManyReplayed {
        dry_run,
        replayed: count(Outcome::Replayed) + count(Outcome::Possible),
        refused: count(Outcome::Refused),
        next,
        stopped,
        runs: repair.runs,
    }))
}

async fn select(
    app: &App,
    caller: &Caller,
    form: RunsForm,
    cursor: Option<&str>,
    limit: usize,
) -> Result<(Vec<RunReplayed>, bool), Problem> {
    if let Some(state) = form.states.iter().find(|state| !state.ended()) {
        let why = format!("a run that is {} cannot be repeated", state.name());
        return Err(invalid("/filter/states", &why));
    }
    let states = if form.states.is_empty() { vec![RunState::Failed] } else { form.states };
    let RunsForm { workflow, since, until, .. } = form;
    let filter = RunFilter { workflow, states, since, until, correlation_id: None };
    let after = cursor.map(read_cursor).transpose()?;
    // One more than is repeated tells whether there are more.
    let most = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let page = StorePage { after, limit: most };
    let mut found = app.ports.store.runs(caller.tenant, &filter, page).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    Ok((found.into_iter().map(RunReplayed::from).collect(), more))
}

impl From<RunSummary> for RunReplayed {
    fn from(summary: RunSummary) -> Self {
        Self {
            run: summary.run.id,
            workflow: summary.workflow_name,
            outcome: Outcome::NotTried,
            new: None,
            plan: None,
            problem: None,
        }
    }
}

/// The runs on their way.
struct Replaying<'a> {
    app: &'a App,
    caller: &'a Caller,
    how: How,
    by: By,
    dry_run: bool,
    runs: Vec<RunReplayed>,
}

impl BulkRepair for Replaying<'_> {
    async fn one(&mut self, at: usize) -> Result<(), Problem> {
        let order = self.how.order(self.caller.tenant, self.runs[at].run);
        let repairs = self.app.ports.repairs.clone();
        let tried = if self.dry_run {
            let planned = repairs.plan_replay(&order).await.map_err(Problem::from);
            planned.map(|plan| (Outcome::Possible, None, plan))
        } else {
            // It stops those after it, too: they would be over all the same.
            quota::start_replay(self.app, self.caller, &order).await?;
            let by = self.by.clone();
            let work = async move { repairs.replay(order, by).await };
            let replayed = repairs::to_the_end(work).await;
            replayed.map(|(new, plan)| (Outcome::Replayed, Some(new), plan))
        };
        let run = &mut self.runs[at];
        match tried {
            Ok((outcome, new, plan)) => {
                run.outcome = outcome;
                run.new = new;
                run.plan = Some(plan.into());
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
        Ok(())
    }
}

impl Replaying<'_> {
    /// Where the rest begins; None if nothing was tried.
    fn next(&self) -> Option<String> {
        let tried = self.runs.iter().rfind(|run| run.outcome != Outcome::NotTried);
        tried.map(|run| write_cursor(run.run))
    }
}
