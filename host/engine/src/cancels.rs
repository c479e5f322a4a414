//! The wish to end runs that are worked on here. The store has it on record, whoever it came from: a
//! person, the end of the run that called them, a singleton that takes their place. Their drivers
//! are told.

use std::sync::Arc;

use tombolo_core::ports::store::{Next, Settle, StepRow};
use tombolo_core::run::RunState;

use crate::{Inner, flow};

/// Tells the drivers of this process which of their runs are to end.
pub(crate) async fn tell(inner: &Inner) {
    let held = inner.leases.runs();
    if held.is_empty() {
        return;
    }
    match inner.ports.store.cancel_requested(&held).await {
        Ok(runs) => runs.into_iter().for_each(|run| inner.leases.cancel(run)),
        Err(error) => {
            tracing::warn!(%error, "runs that are to end go on until leases are renewed");
        }
    }
}

/// The same after a wish was put on record: it may have reached other runs than the one named, also
/// some that are just being claimed.
pub(crate) async fn tell_of_new(inner: &Inner) {
    inner.leases.note_missed();
    inner.wake.notify_one();
    inner.ending.notify_one();
    tell(inner).await;
}

/// The same beside the driver that has written `command`, if that can have put a wish on record.
/// `steps` are those of the run.
pub(crate) fn tell_after<'a>(
    inner: &Arc<Inner>,
    mut steps: impl Iterator<Item = &'a StepRow>,
    command: &Settle,
) {
    let cancelled = matches!(command.next, Next::End { state: RunState::Cancelled, .. });
    let reaches_called = cancelled && steps.any(|step| step.child.is_some());
    if reaches_called || flow::replaces(&command.starts) {
        let inner = inner.clone();
        inner.clone().tracker.spawn(async move { tell_of_new(&inner).await });
    }
}
