//! `POST /api/v1/dead-letters/redrive`: lets the dead steps of many runs try again.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tombolo_core::id::RunId;
use tombolo_core::ports::store::LetterFilter;
use tombolo_core::run::{Redrive, RunState};
use utoipa::ToSchema;

use super::redriving::{Mode, Redriving};
use super::select::{self, FilterForm, Found};
use crate::access::Caller;
use crate::app::Shared;
use crate::extract::{Deadline, Incoming, invalid};
use crate::problem::Problem;
use crate::routes::bulk::{self, Pace, Refused, Stopped};
use crate::routes::repairs::{self, StepName};
use crate::routes::shapes::run_state;

/// Which runs are redriven, and how.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedriveMany {
    /// Runs with a dead letter that matches. Every dead letter of such a run is redriven.
    #[serde(default)]
    filter: FilterForm,
    /// Only say what would be; nothing is redriven.
    #[serde(default)]
    dry_run: bool,
    /// Redrive so many first, and the others only after these have come to a good end.
    #[serde(default)]
    canary: usize,
    /// At most so many runs a second, 1 to 1,000; 10 if left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000)]
    rate: Option<u32>,
    /// At most so many runs, 1 to 1,000; 100 if left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000)]
    limit: Option<usize>,
    /// Make the calls again that succeeded in earlier attempts, under new idempotency keys.
    #[serde(default)]
    forget_calls: bool,
    /// Repeat unsafe calls whose outcome nobody knows.
    #[serde(default)]
    repeat_unknown: bool,
    /// For the record; at most 2,000 bytes.
    #[serde(default)]
    reason: Option<String>,
}

/// What became of many runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct ManyRedriven {
    dry_run: bool,
    /// Those that match, of the newest run first.
    runs: Vec<RunRedriven>,
    /// How many go on (of a dry run: could go on).
    redriven: usize,
    refused: usize,
    /// True if more runs match than `limit` lets in.
    more: bool,
    /// Set if it stopped before the last run.
    stopped: Option<Stopped>,
}

/// What became of one run.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunRedriven {
    #[schema(value_type = String)]
    pub(super) run: RunId,
    workflow: String,
    /// `redriven`, `possible` (of a dry run), `refused`, or `not-tried`.
    pub(super) outcome: Outcome,
    /// The steps that try again, at most 100 of them.
    pub(super) steps: Vec<StepName>,
    /// True if there are more steps.
    pub(super) more_steps: bool,
    /// Of a canary: where it came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = run_state)]
    pub(super) ended: Option<RunState>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<Refused>,
}

/// What became of one run, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// It goes on.
    Redriven,
    /// It would go on.
    Possible,
    /// It stays as it is.
    Refused,
    /// It was not its turn.
    NotTried,
}

/// Redrives the runs whose dead letters match, one by one: first the canaries, then the others at a
/// bounded rate, for as long as an answer may take. What was redriven matches no more, so the same
/// request again goes on with the rest.
#[utoipa::path(
    post,
    path = "/api/v1/dead-letters/redrive",
    tag = "dead letters",
    operation_id = "redriveDeadLetters",
    request_body(content = RedriveMany),
    responses((status = 200, description = "What became of each run", body = ManyRedriven))
)]
pub(crate) async fn redrive_many(
    State(app): State<Shared>,
    caller: Caller,
    deadline: Deadline,
    request: Incoming,
) -> Result<Json<ManyRedriven>, Problem> {
    let form: RedriveMany = request.form(&app).await?;
    let (limit, rate) = (bulk::limit(form.limit)?, bulk::rate(form.rate)?);
    if form.canary > limit {
        return Err(invalid("/canary", &format!("expected at most the limit, {limit}")));
    }
    let by = repairs::by(&caller, form.reason)?;
    let filter = LetterFilter::from(form.filter);
    let (found, more) = select::runs(&*app.ports.store, caller.tenant, &filter, limit).await?;
    let pace = Pace::new(found.len(), rate, bulk::time_left(deadline));
    let pace = if form.dry_run { pace.at_once() } else { pace.with_canaries(form.canary) };
    let redrive = Redrive {
        step: None,
        input: None,
        forget_calls: form.forget_calls,
        repeat_unknown: form.repeat_unknown,
    };
    let runs = found.into_iter().map(RunRedriven::from).collect();
    let mode = if form.dry_run { Mode::Look } else { Mode::Redrive { canaries: form.canary } };
    let mut repair = Redriving::new(&app, &caller, (redrive, by), runs, (mode, deadline));
    let stopped = bulk::work(&app, pace, &mut repair).await;
    let count = |outcome| repair.runs.iter().filter(|run| run.outcome == outcome).count();
    Ok(Json(ManyRedriven {
        dry_run: form.dry_run,
        redriven: count(Outcome::Redriven) + count(Outcome::Possible),
        refused: count(Outcome::Refused),
        more,
        stopped,
        runs: repair.runs,
    }))
}

impl From<Found> for RunRedriven {
    fn from(found: Found) -> Self {
        Self {
            run: found.run,
            workflow: found.workflow,
            outcome: Outcome::NotTried,
            steps: Vec::new(),
            more_steps: false,
            ended: None,
            problem: None,
        }
    }
}
