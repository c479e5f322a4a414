//! Claim: the writer takes the leases; the runs themselves are read after the commit, beside it.

use rusqlite::{Connection, params};
use tombolo_core::id::RunId;
use tombolo_core::ports::store::Claim;
use uuid::Uuid;

use crate::group::Claimed;
use crate::record::{id, unsigned};
use crate::sqlite::error::Fault;

/// Leases what is due, the longest due first.
pub(super) fn apply(connection: &Connection, claim: &Claim) -> Result<Vec<Claimed>, Fault> {
    let mut lease = connection.prepare_cached(
        "UPDATE queue SET lease_owner = ?1, lease_epoch = lease_epoch + 1, claims = claims + 1,
           available_at = ?2
         WHERE run_id IN (SELECT run_id FROM queue WHERE available_at <= ?3
                          ORDER BY available_at, run_id LIMIT ?4)
         RETURNING run_id, tenant_id, lease_epoch, claims",
    )?;
    let limit = i64::try_from(claim.limit).unwrap_or(i64::MAX);
    let mut rows = lease.query(params![claim.worker.0, claim.until.0, claim.now.0, limit])?;
    let mut claimed = Vec::new();
    while let Some(row) = rows.next()? {
        let run = Uuid::from_bytes(row.get(0)?);
        let tenant = Uuid::from_bytes(row.get(1)?);
        claimed.push((
            tenant,
            Claimed { run: RunId(run), epoch: row.get(2)?, claims: unsigned(row.get(3)?)? },
        ));
    }
    let mut update = connection.prepare_cached(
        "UPDATE run SET state = 'running' WHERE tenant_id = ? AND id = ? AND state <> 'running'",
    )?;
    for (tenant, claimed) in &claimed {
        update.execute([id(tenant), id(&claimed.run.0)])?;
    }
    Ok(claimed.into_iter().map(|(_, claimed)| claimed).collect())
}
