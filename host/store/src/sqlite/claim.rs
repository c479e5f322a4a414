//! What a claim brings: the runs that were just leased, with their events, steps, journals and
//! signals.

use std::collections::HashMap;

use sqlx::SqliteConnection;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{
    Claimed, ClaimedRun, Journaled, Lease, Signal, StepRow, StoreError, WorkerId,
};

use super::error::Fault;
use super::row::id_list;
use super::run_row::{self, Loaded};
use super::{journal_row, signal_row, step_row};
use crate::group::Leased;

/// Rows below runs, by run. What cannot be read fails its run only.
type Below<T> = HashMap<RunId, Result<Vec<T>, Fault>>;

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
    let signalled = rows.values().flatten().any(|loaded| loaded.signalled);
    let mut below = Rows {
        steps: step_row::of_runs(connection, &runs).await?,
        journals: journal_row::of_runs(connection, &runs).await?,
        signals: if signalled {
            signal_row::of_runs(connection, &runs).await?
        } else {
            HashMap::new()
        },
    };
    let mut loaded = Vec::with_capacity(leased.len());
    for leased in leased {
        let lease = Lease { run: leased.run, owner: worker.clone(), epoch: leased.epoch };
        let Some(row) = rows.remove(&leased.run) else {
            tracing::warn!(run = %leased.run, "a claimed run was lost again");
            continue;
        };
        loaded.push(match row.and_then(|row| below.put_together(row, lease.clone(), leased)) {
            Ok(run) => Claimed::Run(Box::new(run)),
            Err(fault) => Claimed::Damaged {
                tenant: leased.tenant,
                lease,
                reason: StoreError::from(fault).to_string(),
            },
        });
    }
    Ok(loaded)
}

/// What stands below the runs.
struct Rows {
    steps: Below<StepRow>,
    journals: Below<Journaled>,
    signals: Below<Signal>,
}

impl Rows {
    fn put_together(
        &mut self,
        row: Loaded,
        lease: Lease,
        leased: &Leased,
    ) -> Result<ClaimedRun, Fault> {
        Ok(ClaimedRun {
            run: row.run,
            event: row.event,
            steps: take(&mut self.steps, leased.run)?,
            journal: take(&mut self.journals, leased.run)?,
            signals: take(&mut self.signals, leased.run)?,
            lease,
            claims: leased.claims,
        })
    }
}

fn take<T>(below: &mut Below<T>, run: RunId) -> Result<Vec<T>, Fault> {
    below.remove(&run).unwrap_or_else(|| Ok(Vec::new()))
}

/// The leases of runs that could not be looked at.
pub(super) fn leases(worker: &WorkerId, leased: &[Leased]) -> Vec<Lease> {
    let lease = |one: &Leased| Lease { run: one.run, owner: worker.clone(), epoch: one.epoch };
    leased.iter().map(lease).collect()
}
