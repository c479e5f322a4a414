//! Reads runs and events from both databases through the port, and says which do not read the same.

use futures_util::StreamExt;
use futures_util::stream;
use tombolo_core::id::{EventId, RunId, TenantId};
use tombolo_core::ports::store::{Reading, RunView, StoreError};
use tombolo_core::run::RunState;

use super::sample::Sample;
use crate::postgres::text::text;

/// Questions that are asked at the same time.
const AT_ONCE: usize = 8;

/// Ids that are told at most.
const TOLD: usize = 20;

/// The two.
#[derive(Clone, Copy)]
pub(super) struct Both<'a> {
    /// The file.
    pub(super) here: &'a dyn Reading,
    /// The server.
    pub(super) there: &'a dyn Reading,
}

/// Ids of those that differ; of many, the first ones.
pub(super) async fn all(both: Both<'_>, sample: &Sample) -> Result<Vec<String>, StoreError> {
    let runs = stream::iter(&sample.runs)
        .map(|(tenant, id)| told(id.to_string(), same_run(both, *tenant, *id)));
    let events = stream::iter(&sample.events)
        .map(|(tenant, id)| told(id.to_string(), same_event(both, *tenant, *id)));
    let mut different = Vec::new();
    let mut runs = runs.buffered(AT_ONCE);
    while let Some(told) = runs.next().await {
        different.extend(told?);
    }
    let mut events = events.buffered(AT_ONCE);
    while let Some(told) = events.next().await {
        different.extend(told?);
    }
    different.truncate(TOLD);
    Ok(different)
}

/// The id of what is not the same.
async fn told(
    id: String,
    same: impl Future<Output = Result<bool, StoreError>>,
) -> Result<Option<String>, StoreError> {
    Ok((!same.await?).then_some(id))
}

async fn same_run(both: Both<'_>, tenant: TenantId, run: RunId) -> Result<bool, StoreError> {
    let same = same(
        both.here.run(tenant, run).await.map(|view| view.map(comparable)),
        both.there.run(tenant, run).await.map(|view| view.map(comparable)),
    )?;
    Ok(same && self::same(both.here.calls(tenant, run).await, both.there.calls(tenant, run).await)?)
}

async fn same_event(both: Both<'_>, tenant: TenantId, event: EventId) -> Result<bool, StoreError> {
    let here = both.here.event(tenant, event).await.map(|found| {
        found.map(|mut view| {
            view.source = text(&view.source).into_owned();
            view
        })
    });
    same(here, both.there.event(tenant, event).await)
}

/// Without what is another in the copy: the order in which steps are read, when a lease ends, and how
/// U+0000 is written.
fn comparable(mut view: RunView) -> RunView {
    view.steps.sort_by(|a, b| (&a.node, a.item).cmp(&(&b.node, b.item)));
    if view.run.state == RunState::Running || view.run.state.ended() {
        view.available_at = None;
    }
    view.run.trigger = text(&view.run.trigger).into_owned();
    view
}

/// What cannot be read here need not be read there.
fn same<T: PartialEq>(
    here: Result<T, StoreError>,
    there: Result<T, StoreError>,
) -> Result<bool, StoreError> {
    match (here, there) {
        (Ok(here), Ok(there)) => Ok(here == there),
        (Err(StoreError::Corrupt(_)), Err(StoreError::Corrupt(_))) => Ok(true),
        (Err(StoreError::Corrupt(_)), Ok(_)) | (Ok(_), Err(StoreError::Corrupt(_))) => Ok(false),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}
