//! What a claim brings: the runs that were just leased, put together of their rows.

use std::collections::HashMap;

use tombolo_core::id::RunId;
use tombolo_core::ports::store::{
    Claimed, ClaimedRun, Journaled, Lease, Signal, StepRow, StoreError, WorkerId,
};

use super::below::Part;
use super::run::Loaded;
use super::{Below, ReadFault};
use crate::group::Leased;

/// The rows of runs that were just leased.
pub(crate) struct Fetched {
    pub(crate) runs: HashMap<RunId, Result<Loaded, ReadFault>>,
    pub(crate) steps: Below<StepRow>,
    pub(crate) journals: Below<Journaled>,
    pub(crate) signals: Below<Signal>,
}

impl Fetched {
    /// True if there are signals to be fetched.
    pub(crate) fn signalled(runs: &HashMap<RunId, Result<Loaded, ReadFault>>) -> bool {
        runs.values().flatten().any(|loaded| loaded.signalled)
    }

    /// The runs.
    ///
    /// A run that cannot be read does not keep the others from being worked on. One that was lost
    /// again meanwhile is left out.
    pub(crate) fn put_together(mut self, worker: &WorkerId, leased: &[Leased]) -> Vec<Claimed> {
        let mut claimed = Vec::with_capacity(leased.len());
        for leased in leased {
            let lease = lease(worker, leased);
            match self.runs.remove(&leased.run) {
                Some(Ok(row)) => claimed.push(self.one(row, lease, leased)),
                Some(Err(fault)) => claimed.push(damaged(leased, lease, fault, None)),
                None => tracing::warn!(run = %leased.run, "a claimed run was lost again"),
            }
        }
        claimed
    }

    fn one(&mut self, row: Loaded, lease: Lease, leased: &Leased) -> Claimed {
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
    fault: ReadFault,
    readable: Option<Box<ClaimedRun>>,
) -> Claimed {
    let error = match fault {
        ReadFault::Damaged(damaged) => StoreError::Corrupt(damaged.0),
        ReadFault::Database(error) => StoreError::Database(error.to_string()),
    };
    Claimed::Damaged { tenant: leased.tenant, lease, reason: error.to_string(), readable }
}

/// What can be read of a run's rows, and the first fault.
fn take<T>(below: &mut Below<T>, run: RunId, fault: &mut Option<ReadFault>) -> Vec<T> {
    let Part { rows, fault: met } = below.remove(&run).unwrap_or_default();
    if fault.is_none() {
        *fault = met;
    }
    rows
}

fn lease(worker: &WorkerId, leased: &Leased) -> Lease {
    Lease { run: leased.run, owner: worker.clone(), epoch: leased.epoch }
}

/// The leases of runs that could not be looked at.
pub(crate) fn leases(worker: &WorkerId, leased: &[Leased]) -> Vec<Lease> {
    leased.iter().map(|leased| lease(worker, leased)).collect()
}
