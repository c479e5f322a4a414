//! Claim: the writer takes the leases; the runs themselves are read after the commit, beside it.

use rusqlite::{Connection, params};
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{Claim, Lease};
use uuid::Uuid;

use crate::group::Leased;
use crate::record::{id, unsigned};
use crate::sqlite::error::Fault;
use crate::sqlite::row::id_list;

/// Leases what is due, the longest due first.
pub(super) fn apply(connection: &Connection, claim: &Claim) -> Result<Vec<Leased>, Fault> {
    let mut lease = connection.prepare_cached(
        "UPDATE queue SET lease_owner = ?1, lease_epoch = lease_epoch + 1, claims = claims + 1,
           available_at = ?2, connections = NULL
         WHERE run_id IN (SELECT run_id FROM queue WHERE available_at <= ?3
                            AND run_id NOT IN (SELECT unhex(value) FROM json_each(?5))
                          ORDER BY available_at, run_id LIMIT ?4)
         RETURNING run_id, tenant_id, lease_epoch, claims",
    )?;
    let limit = i64::try_from(claim.limit).unwrap_or(i64::MAX);
    let held = id_list(claim.held.iter().map(|run| run.0));
    let mut rows = lease.query(params![claim.worker.0, claim.until.0, claim.now.0, limit, held])?;
    let mut claimed = Vec::new();
    while let Some(row) = rows.next()? {
        claimed.push(Leased {
            run: RunId(Uuid::from_bytes(row.get(0)?)),
            tenant: TenantId(Uuid::from_bytes(row.get(1)?)),
            epoch: row.get(2)?,
            claims: unsigned(row.get(3)?)?,
        });
    }
    let mut update = connection.prepare_cached(
        "UPDATE run SET state = 'running' WHERE tenant_id = ? AND id = ? AND state <> 'running'",
    )?;
    for leased in &claimed {
        update.execute([id(&leased.tenant.0), id(&leased.run.0)])?;
    }
    Ok(claimed)
}

/// Gives leases back as if they had not been taken: due at once, and not counted.
pub(super) fn give_back(connection: &Connection, leases: &[Lease]) -> Result<(), Fault> {
    let mut update = connection.prepare_cached(
        "UPDATE queue SET lease_owner = NULL, claims = max(claims - 1, 0), available_at = 0
         WHERE run_id = ? AND lease_owner = ? AND lease_epoch = ?",
    )?;
    for lease in leases {
        update.execute(params![id(&lease.run.0), lease.owner.0, lease.epoch])?;
    }
    Ok(())
}
