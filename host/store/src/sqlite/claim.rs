//! What a claim brings: the runs that were just leased, with their events, steps, journals and
//! signals.

use std::collections::HashMap;

use sqlx::SqliteConnection;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{
    Claimed, ClaimedRun, Journaled, Lease, Signal, StepRow, StoreError, WorkerId,
};

use super::below::{Below, Part};
use super::error::Fault;
use super::row::id_list;
use super::run_row::{self, Loaded};
use super::{journal_row, signal_row, step_row};
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
        loaded.push(match row {
            Ok(row) => below.put_together(row, lease, leased),
            Err(fault) => damaged(leased, lease, fault, None),
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
    fn put_together(&mut self, row: Loaded, lease: Lease, leased: &Leased) -> Claimed {
        let mut fault = None;
        let run = Box::new(ClaimedRun {
            run: row.run,
            event: row.event,
            steps: take(&mut self.steps, leased.run, &mut fault),
            journal: take(&mut self.journals, leased.run, &mut fault),
            signals: take(&mut self.signals, leased.run, &mut fault),
            lease: lease.clone(),
            claims: leased.claims,
        });
        match fault {
            None => Claimed::Run(run),
            Some(fault) => damaged(leased, lease, fault, Some(run)),
        }
    }
}

fn damaged(
    leased: &Leased,
    lease: Lease,
    fault: Fault,
    readable: Option<Box<ClaimedRun>>,
) -> Claimed {
    let reason = StoreError::from(fault).to_string();
    Claimed::Damaged { tenant: leased.tenant, lease, reason, readable }
}

/// What can be read of a run's rows, and the first fault.
fn take<T>(below: &mut Below<T>, run: RunId, fault: &mut Option<Fault>) -> Vec<T> {
    let Part { rows, fault: met } = below.remove(&run).unwrap_or_default();
    if fault.is_none() {
        *fault = met;
    }
    rows
}

/// The leases of runs that could not be looked at.
pub(super) fn leases(worker: &WorkerId, leased: &[Leased]) -> Vec<Lease> {
    let lease = |one: &Leased| Lease { run: one.run, owner: worker.clone(), epoch: one.epoch };
    leased.iter().map(lease).collect()
}
