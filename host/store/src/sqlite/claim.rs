//! Claim: leases on runs that are due. The writer takes the lease; the rest is read after its
//! commit, beside the writer.

use sqlx::{Row, SqliteConnection};
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Claim, ClaimedRun, Lease, StoreError, WorkerId};

use super::bulk::id_list;
use super::error::Fault;
use super::row::id;
use super::{run_row, step_row};
use crate::group::Claimed;
use crate::record::unsigned;

/// Leases what is due, the longest due first.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    claim: &Claim,
) -> Result<Vec<Claimed>, Fault> {
    let rows = sqlx::query(
        "UPDATE queue SET lease_owner = ?1, lease_epoch = lease_epoch + 1, claims = claims + 1,
           available_at = ?2
         WHERE run_id IN (SELECT run_id FROM queue WHERE available_at <= ?3
                          ORDER BY available_at, run_id LIMIT ?4)
         RETURNING run_id, lease_epoch, claims",
    )
    .bind(claim.worker.0.as_str())
    .bind(claim.until.0)
    .bind(claim.now.0)
    .bind(i64::try_from(claim.limit).unwrap_or(i64::MAX))
    .fetch_all(&mut *connection)
    .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let claimed = rows
        .iter()
        .map(|row| {
            Ok(Claimed {
                run: RunId(id(row, 0)?),
                epoch: row.try_get(1)?,
                claims: unsigned(row.try_get(2)?)?,
            })
        })
        .collect::<Result<Vec<_>, Fault>>()?;
    sqlx::query(
        "UPDATE run SET state = 'running' FROM queue q
         WHERE q.run_id IN (SELECT unhex(value) FROM json_each(?))
           AND run.tenant_id = q.tenant_id AND run.id = q.run_id AND run.state <> 'running'",
    )
    .bind(id_list(claimed.iter().map(|claimed| claimed.run.0)))
    .execute(connection)
    .await?;
    Ok(claimed)
}

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
