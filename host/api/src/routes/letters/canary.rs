//! Seeing how a run ends that was redriven before the others.

use std::time::Duration;

use tokio::time::Instant;
use tombolo_core::id::RunId;
use tombolo_core::ports::intake::Follow;
use tombolo_core::run::RunState;

use crate::access::Caller;
use crate::app::App;
use crate::routes::runs;

/// How often a run is looked at without word of it.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Where a run ends; None if it has not by then.
pub(super) async fn end_of(
    app: &App,
    caller: &Caller,
    run: RunId,
    changes: Box<dyn Follow>,
    until: Instant,
) -> Option<RunState> {
    let mut changes = Some(changes);
    loop {
        if let Ok(view) = runs::find(app, caller, run).await
            && view.run.state.ended()
        {
            return Some(view.run.state);
        }
        let now = Instant::now();
        if now >= until || app.ports.stopping.is_cancelled() {
            return None;
        }
        let again = until.min(now + LOOK_AGAIN);
        let Some(following) = &mut changes else {
            tokio::time::sleep_until(again).await;
            continue;
        };
        // Told nothing more: it is looked at from time to time.
        if let Ok(None) = tokio::time::timeout_at(again, following.next()).await {
            changes = None;
        }
    }
}
