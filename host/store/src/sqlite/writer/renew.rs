//! Renewal of leases.

use rusqlite::{Connection, params};
use tombolo_core::id::RunId;

use crate::group::Renew;
use crate::record::id;
use crate::sqlite::error::Fault;

/// Moves the end of the leases that are still held; returns the runs of the others.
///
/// Not a question of time: a lease that has run out is still its owner's until somebody else claims
/// the run.
pub(super) fn apply(connection: &Connection, renew: &Renew) -> Result<Vec<RunId>, Fault> {
    let mut update = connection.prepare_cached(
        "UPDATE queue SET available_at = ? WHERE run_id = ? AND lease_owner = ? AND lease_epoch = ?",
    )?;
    let mut lost = Vec::new();
    for lease in &renew.leases {
        let moved =
            update
                .execute(params![renew.until.0, id(&lease.run.0), lease.owner.0, lease.epoch,])?;
        if moved == 0 {
            lost.push(lease.run);
        }
    }
    Ok(lost)
}
