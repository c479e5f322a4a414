//! What a claim brings: the runs that were just leased, with their events and steps.

use sqlx::SqliteConnection;
use tombolo_core::ports::store::{ClaimedRun, Lease, StoreError, WorkerId};

use super::error::Fault;
use super::row::id_list;
use super::{run_row, step_row};
use crate::group::Claimed;

/// Reads the runs that were just leased, with their events and steps.
///
/// A run that cannot be read is left out and logged, so that it does not keep the others from being
/// worked on; its lease runs out. So is one that was lost again meanwhile.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    worker: &WorkerId,
    claimed: Vec<Claimed>,
) -> Result<Vec<ClaimedRun>, Fault> {
    let runs = id_list(claimed.iter().map(|claimed| claimed.run.0));
    let mut rows = run_row::with_events(connection, &runs).await?;
    let mut steps = step_row::of_runs(connection, &runs).await?;
    let mut loaded = Vec::with_capacity(claimed.len());
    for claimed in claimed {
        let steps = steps.remove(&claimed.run).unwrap_or_else(|| Ok(Vec::new()));
        match (rows.remove(&claimed.run), steps) {
            (Some(Ok((run, event))), Ok(steps)) => loaded.push(ClaimedRun {
                run,
                event,
                steps,
                lease: Lease { run: claimed.run, owner: worker.clone(), epoch: claimed.epoch },
                claims: claimed.claims,
            }),
            (Some(Err(fault)), _) | (Some(Ok(_)), Err(fault)) => {
                let error = StoreError::from(fault);
                tracing::error!(run = %claimed.run, %error, "a claimed run cannot be read");
            }
            (None, _) => tracing::warn!(run = %claimed.run, "a claimed run was lost again"),
        }
    }
    Ok(loaded)
}
