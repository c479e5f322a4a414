//! Repairs of many runs in one request: one by one, not too fast, and in the time that an answer may
//! take. When the caller hangs up, it stops between two of them.

mod pace;

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;

pub(super) use pace::Pace;

use self::pace::Move;
use crate::app::App;
use crate::extract::{Deadline, invalid};
use crate::problem::{Kind, Problem};

/// Runs of one request unless asked otherwise.
const DEFAULT_RUNS: usize = 100;
/// Most runs of one request.
pub(super) const MAX_RUNS: usize = 1_000;
/// Runs a second unless asked otherwise.
const DEFAULT_RATE: u32 = 10;
/// Most runs a second.
const MAX_RATE: u32 = 1_000;
/// What is kept of the time for an answer to write it.
const MARGIN: Duration = Duration::from_secs(10);

/// One kind of repair, of a known number of runs.
pub(super) trait BulkRepair: Send {
    /// Repairs the run at that position. A problem is the run's own.
    fn one(&mut self, at: usize) -> impl Future<Output = Result<(), Problem>> + Send;

    /// Sees how the first runs end: Ok if the others may follow.
    fn check(&mut self) -> impl Future<Output = Result<(), Stopped>> + Send;
}

/// Why it stopped before the last run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Stopped {
    /// `canary-failed`, `canary-not-ended`, `time-over`, `stopping`, or the code of a problem that
    /// would be every run's: `store-busy`, `disk-full`.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// Why one run was not repaired.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Refused {
    /// The code of a problem, see `/problems/{code}`.
    code: &'static str,
    /// For people.
    detail: String,
}

impl From<&Problem> for Refused {
    fn from(problem: &Problem) -> Self {
        Self { code: problem.kind().code(), detail: problem.detail().to_owned() }
    }
}

/// What is left of the time for the answer.
pub(super) fn time_left(deadline: Deadline) -> Duration {
    deadline.left(MARGIN)
}

/// How many runs were asked for.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    between("/limit", asked.unwrap_or(DEFAULT_RUNS), MAX_RUNS)
}

/// How many a second were asked for.
pub(super) fn rate(asked: Option<u32>) -> Result<u32, Problem> {
    between("/rate", asked.unwrap_or(DEFAULT_RATE), MAX_RATE)
}

fn between<T: PartialOrd + From<u8> + std::fmt::Display>(
    pointer: &str,
    asked: T,
    most: T,
) -> Result<T, Problem> {
    let fits = asked >= T::from(1) && asked <= most;
    if fits { Ok(asked) } else { Err(invalid(pointer, &format!("expected 1 to {most}"))) }
}

/// Does the repair. None if it came to its end.
pub(super) async fn work(
    app: &App,
    mut pace: Pace,
    repair: &mut impl BulkRepair,
) -> Option<Stopped> {
    let start = Instant::now();
    for at in 0.. {
        let wait = loop {
            match pace.next(start.elapsed()) {
                Move::Try(wait) => break wait,
                Move::Check => match repair.check().await {
                    Ok(()) => pace.trust(),
                    Err(stopped) => return Some(stopped),
                },
                Move::OutOfTime => return Some(out_of_time()),
                Move::Done => return None,
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = app.ports.stopping.cancelled() => return Some(stopping()),
        }
        let began = start.elapsed();
        match repair.one(at).await {
            Ok(()) => pace.worked(began),
            Err(problem) => {
                pace.refused(began);
                if let Some(cause) = problem.cause() {
                    tracing::error!(cause, "a repair of many runs failed on our side");
                }
                if stops(&problem) {
                    let (code, message) = (problem.kind().code(), problem.detail().to_owned());
                    return Some(Stopped { code, message });
                }
            }
        }
    }
    None
}

/// True if the problem would be every run's. One that is internal may be this run's own damage.
pub(super) fn stops(problem: &Problem) -> bool {
    matches!(
        problem.kind(),
        Kind::StoreBusy
            | Kind::StoreUnreachable
            | Kind::DiskFull
            | Kind::QuotaUsedUp
            | Kind::QuotaFull
    )
}

fn out_of_time() -> Stopped {
    let message = "the time for one request is over: send another one for the rest".to_owned();
    Stopped { code: "time-over", message }
}

/// The process is asked to end.
pub(super) fn stopping() -> Stopped {
    let message = "the server stops: send another request for the rest".to_owned();
    Stopped { code: "stopping", message }
}
