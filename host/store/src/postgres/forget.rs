//! Forgetting: old runs with all that belongs to them, events of which no run is left, and payloads
//! that nobody needs.
//!
//! What may go is locked first and looked at again afterwards: meanwhile somebody may have come to
//! need it.

use std::collections::BTreeSet;

use sqlx::Row;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, RunId};
use uuid::Uuid;

use super::error::Fault;
use super::keep::forgettable;
use super::scope::TenantTx;
use super::writer::pack;
use crate::record::split_ids;

/// Where PostgreSQL takes the table to be small, it reads a range of its key instead of looking runs
/// up one by one: so the range is named.
macro_rules! among_the_bad {
    () => {
        "tenant_id = $1 AND run_id = ANY($2)
           AND run_id >= ($2::uuid[])[1] AND run_id <= ($2::uuid[])[array_upper($2::uuid[], 1)]"
    };
}

/// Every table below a run, with the name of the run's column. The runs are in order.
const BELOW: [&str; 8] = [
    "DELETE FROM step WHERE tenant_id = $1 AND run_id = ANY($2)",
    "DELETE FROM effect WHERE tenant_id = $1 AND run_id = ANY($2)",
    "DELETE FROM journal WHERE tenant_id = $1 AND run_id = ANY($2)",
    "DELETE FROM signal WHERE tenant_id = $1 AND run_id = ANY($2)",
    "DELETE FROM dead_letter WHERE tenant_id = $1 AND run_id = ANY($2)",
    concat!("DELETE FROM run_ended_badly WHERE state = 'failed' AND ", among_the_bad!()),
    concat!("DELETE FROM run_ended_badly WHERE state = 'cancelled' AND ", among_the_bad!()),
    "DELETE FROM payload_use WHERE tenant_id = $1 AND owner_id = ANY($2)",
];

/// Deletes those of the runs that nobody needs, then their events of which no run is left.
pub(super) async fn runs(
    tx: &mut TenantTx<'_>,
    runs: &[RunId],
    ended_before: Timestamp,
) -> Result<u64, Fault> {
    let runs: Vec<Uuid> = runs.iter().map(|run| run.0).collect();
    sqlx::query("SELECT 1 FROM run WHERE tenant_id = $1 AND id = ANY($2) ORDER BY id FOR UPDATE")
        .bind(tx.tenant().0)
        .bind(&runs)
        .execute(tx.sql())
        .await?;
    let rows = sqlx::query(concat!(
        "DELETE FROM run r WHERE r.tenant_id = $1 AND r.id = ANY($2) AND ",
        forgettable!("$3"),
        " RETURNING r.id, r.event_id, r.pack",
    ))
    .bind(tx.tenant().0)
    .bind(&runs)
    .bind(ended_before.0)
    .fetch_all(tx.sql())
    .await?;
    let (mut gone, mut packs) = (Vec::<Uuid>::new(), Vec::<i64>::new());
    let mut events = BTreeSet::new();
    for row in &rows {
        gone.push(row.try_get(0)?);
        events.insert(EventId(row.try_get(1)?));
        packs.extend(row.try_get::<Option<i64>, _>(2)?);
    }
    if gone.is_empty() {
        return Ok(0);
    }
    gone.sort_unstable();
    pack::delete(tx, packs).await?;
    for statement in BELOW {
        sqlx::query(statement).bind(tx.tenant().0).bind(&gone).execute(tx.sql()).await?;
    }
    let joined: Vec<Uuid> = sqlx::query_scalar(
        "DELETE FROM joined WHERE tenant_id = $1 AND run_id = ANY($2) RETURNING event_id",
    )
    .bind(tx.tenant().0)
    .bind(&gone)
    .fetch_all(tx.sql())
    .await?;
    events.extend(joined.into_iter().map(EventId));
    let left = without_runs(tx, &events).await?;
    self::events(tx, left).await?;
    Ok(gone.len() as u64)
}

/// Those of the events of which no run is left. From now on nobody else looks at them.
async fn without_runs(
    tx: &mut TenantTx<'_>,
    events: &BTreeSet<EventId>,
) -> Result<Vec<Uuid>, Fault> {
    let events: Vec<Uuid> = events.iter().map(|event| event.0).collect();
    let rows = sqlx::query(
        "SELECT id, run_ids FROM event WHERE tenant_id = $1 AND id = ANY($2)
         ORDER BY id FOR UPDATE",
    )
    .bind(tx.tenant().0)
    .bind(events)
    .fetch_all(tx.sql())
    .await?;
    let mut of: Vec<(Uuid, Vec<Uuid>)> = Vec::with_capacity(rows.len());
    for row in &rows {
        of.push((row.try_get(0)?, split_ids(row.try_get(1)?)?));
    }
    let asked: Vec<Uuid> = of.iter().flat_map(|(_, runs)| runs).copied().collect();
    let left: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM run WHERE tenant_id = $1 AND id = ANY($2)")
            .bind(tx.tenant().0)
            .bind(asked)
            .fetch_all(tx.sql())
            .await?;
    let left: BTreeSet<Uuid> = left.into_iter().collect();
    let empty = |(_, runs): &(Uuid, Vec<Uuid>)| !runs.iter().any(|run| left.contains(run));
    Ok(of.into_iter().filter(empty).map(|(event, _)| event).collect())
}

/// Deletes events with their packs and their uses of payloads. An event of the same key is a new one
/// from now on.
pub(super) async fn events(tx: &mut TenantTx<'_>, events: Vec<Uuid>) -> Result<u64, Fault> {
    let packs: Vec<Option<i64>> = sqlx::query_scalar(
        "DELETE FROM event WHERE tenant_id = $1 AND id = ANY($2) RETURNING pack",
    )
    .bind(tx.tenant().0)
    .bind(&events)
    .fetch_all(tx.sql())
    .await?;
    let count = packs.len() as u64;
    pack::delete(tx, packs.into_iter().flatten().collect()).await?;
    sqlx::query("DELETE FROM payload_use WHERE tenant_id = $1 AND owner_id = ANY($2)")
        .bind(tx.tenant().0)
        .bind(&events)
        .execute(tx.sql())
        .await?;
    Ok(count)
}

/// Deletes those of the payloads that nobody needs.
pub(super) async fn payloads(tx: &mut TenantTx<'_>, hashes: &[Vec<u8>]) -> Result<u64, Fault> {
    sqlx::query(
        "SELECT 1 FROM payload WHERE tenant_id = $1 AND hash = ANY($2) ORDER BY hash FOR UPDATE",
    )
    .bind(tx.tenant().0)
    .bind(hashes)
    .execute(tx.sql())
    .await?;
    let deleted = sqlx::query(
        "DELETE FROM payload p WHERE p.tenant_id = $1 AND p.hash = ANY($2)
           AND NOT EXISTS (SELECT 1 FROM payload_use u
                           WHERE u.tenant_id = $1 AND u.hash = p.hash)
           AND NOT EXISTS (SELECT 1 FROM plugin g WHERE g.tenant_id = $1 AND g.hash = p.hash)",
    )
    .bind(tx.tenant().0)
    .bind(hashes)
    .execute(tx.sql())
    .await?;
    Ok(deleted.rows_affected())
}

/// Deletes those of the notes whose runs have ended.
pub(super) async fn waits(tx: &mut TenantTx<'_>, notes: &[(String, RunId)]) -> Result<u64, Fault> {
    let deleted = sqlx::query(
        "DELETE FROM connection_wait w USING UNNEST($2::text[], $3::uuid[]) AS u (name, run_id)
         WHERE w.tenant_id = $1 AND w.connection = u.name AND w.run_id = u.run_id
           AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.tenant_id = $1 AND q.run_id = w.run_id)",
    )
    .bind(tx.tenant().0)
    .bind(notes.iter().map(|(name, _)| name.as_str()).collect::<Vec<&str>>())
    .bind(notes.iter().map(|(_, run)| run.0).collect::<Vec<Uuid>>())
    .execute(tx.sql())
    .await?;
    Ok(deleted.rows_affected())
}
