//! What all repairs share: who does it and why, work that is not left half done, and how a step is
//! named.

use serde::Serialize;
use tombolo_core::ports::repair::{By, RepairError};
use tombolo_core::ports::store::StepKey;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::extract::invalid;
use crate::problem::{Kind, Problem};

/// Longest reason, in bytes.
const MAX_REASON_BYTES: usize = 2_000;

/// What a repair is refused with, beside what its form and its step may be.
pub(super) const REFUSALS: &[Kind] =
    &[Kind::InvalidBody, Kind::RunNotFound, Kind::RunBusy, Kind::VersionUnusable];
/// Beside these, of a repair of steps.
pub(super) const OF_STEPS: &[Kind] = &[Kind::StepNotFound, Kind::StepNotDead];

/// Names a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct StepName {
    node: String,
    /// Position among the items of a for-each node; else 0.
    item: u32,
}

impl From<StepKey> for StepName {
    fn from(key: StepKey) -> Self {
        Self { node: key.node, item: key.item }
    }
}

/// The caller and their reason.
pub(super) fn by(caller: &Caller, reason: Option<String>) -> Result<By, Problem> {
    let reason = reason.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if reason.as_ref().is_some_and(|text| text.len() > MAX_REASON_BYTES) {
        let why = format!("it has more than {MAX_REASON_BYTES} bytes");
        return Err(invalid("/reason", &why));
    }
    Ok(By { reason, ..caller.by() })
}

/// Does work that is not to be left half done: it comes to its end when the caller hangs up, or when
/// the time for the answer is over.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, RepairError>> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::spawn(work).await;
    let done = done.map_err(|error| Problem::internal(format!("a repair broke off: {error}")))?;
    Ok(done?)
}
