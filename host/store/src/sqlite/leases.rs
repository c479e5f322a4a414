//! Leases of the runs that a batch wants to write, read once per batch; and their renewal.

use std::collections::HashMap;

use sqlx::{Row, SqliteConnection};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::Lease;

use super::bulk::{Bulk, Part, id_list};
use super::error::Fault;
use super::row::id;
use crate::group::{Pending, Renew};
use crate::record::SettleItem;

/// A run's lease as the queue has it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) tenant: TenantId,
    pub(super) owner: Option<String>,
    pub(super) epoch: i64,
    pub(super) claims: i64,
}

impl Held {
    /// True if `lease` is this one. Not a question of time: a lease that has run out is still its
    /// owner's until somebody else claims the run.
    pub(super) fn is(&self, lease: &Lease) -> bool {
        self.epoch == lease.epoch && self.owner.as_deref() == Some(&lease.owner.0)
    }
}

/// Leases by run; a run that is not in the queue has none.
pub(super) type Leases = HashMap<RunId, Held>;

/// Reads the leases of all runs that the batch renews or settles.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    renews: &[Pending<Renew, Vec<RunId>>],
    settles: &[Pending<Box<SettleItem>, ()>],
) -> Result<Leases, Fault> {
    let renewed = renews.iter().flat_map(|pending| &pending.ask.leases);
    let settled = settles.iter().map(|pending| &pending.ask.lease);
    let runs: Vec<_> = renewed.chain(settled).map(|lease| lease.run.0).collect();
    if runs.is_empty() {
        return Ok(Leases::new());
    }
    let rows = sqlx::query(
        "SELECT run_id, tenant_id, lease_owner, lease_epoch, claims FROM queue
         WHERE run_id IN (SELECT unhex(value) FROM json_each(?))",
    )
    .bind(id_list(runs))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let held = Held {
                tenant: TenantId(id(row, 1)?),
                owner: row.try_get(2)?,
                epoch: row.try_get(3)?,
                claims: row.try_get(4)?,
            };
            Ok((RunId(id(row, 0)?), held))
        })
        .collect()
}

static RENEW: Bulk = Bulk::new(&[Part::list(
    "WITH v (run_id, available_at) AS (",
    2,
    ") UPDATE queue SET available_at = v.available_at FROM v WHERE queue.run_id = v.run_id",
)]);

/// Moves the end of the leases that are still held, and answers with the others.
pub(super) async fn renew(
    connection: &mut SqliteConnection,
    renews: &mut [Pending<Renew, Vec<RunId>>],
    held: &Leases,
) -> Result<(), Fault> {
    let mut moved: Vec<(RunId, Timestamp)> = Vec::new();
    for pending in renews {
        let mut lost = Vec::new();
        for lease in &pending.ask.leases {
            match held.get(&lease.run) {
                Some(held) if held.is(lease) => moved.push((lease.run, pending.ask.until)),
                _ => lost.push(lease.run),
            }
        }
        pending.set(Ok(lost));
    }
    RENEW
        .run(connection, &moved, |_, args, (run, until)| {
            args.id(run.0).time(*until);
        })
        .await?;
    Ok(())
}
