//! What a claim brings: the runs that were just leased, with their events, steps and journals.

use sqlx::SqliteConnection;
use tombolo_core::ports::store::{Claimed, ClaimedRun, Lease, StoreError, WorkerId};

use super::error::Fault;
use super::row::id_list;
use super::{journal_row, run_row, step_row};
use crate::group::Leased;

/// Reads the runs that were just leased.
///
/// A run that cannot be read does not keep the others from being worked on. One that was lost again
/// meanwhile is left out.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    worker: &WorkerId,
    leased: &[Leased],
) -> Result<Vec<Claimed>, Fault> {
    let runs = id_list(leased.iter().map(|leased| leased.run.0));
    let mut rows = run_row::with_events(connection, &runs).await?;
    let mut steps = step_row::of_runs(connection, &runs).await?;
    let mut journals = journal_row::of_runs(connection, &runs).await?;
    let mut loaded = Vec::with_capacity(leased.len());
    for leased in leased {
        let lease = Lease { run: leased.run, owner: worker.clone(), epoch: leased.epoch };
        let Some(row) = rows.remove(&leased.run) else {
            tracing::warn!(run = %leased.run, "a claimed run was lost again");
            continue;
        };
        let parts = row.and_then(|row| {
            let steps = steps.remove(&leased.run).unwrap_or_else(|| Ok(Vec::new()))?;
            let journal = journals.remove(&leased.run).unwrap_or_else(|| Ok(Vec::new()))?;
            Ok((row, steps, journal))
        });
        loaded.push(match parts {
            Ok(((run, event), steps, journal)) => Claimed::Run(Box::new(ClaimedRun {
                run,
                event,
                steps,
                journal,
                lease,
                claims: leased.claims,
            })),
            Err(fault) => Claimed::Damaged {
                tenant: leased.tenant,
                lease,
                reason: StoreError::from(fault).to_string(),
            },
        });
    }
    Ok(loaded)
}

/// The leases of runs that could not be looked at.
pub(super) fn leases(worker: &WorkerId, leased: &[Leased]) -> Vec<Lease> {
    let lease = |one: &Leased| Lease { run: one.run, owner: worker.clone(), epoch: one.epoch };
    leased.iter().map(lease).collect()
}
