//! Events that belong to a run that is there already: debounced ones, and those of a singleton.

use sqlx::Row;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, RunId};
use tombolo_core::ports::store::{Debounce, NewEvent, NewRun, Singleton, WhenBusy};

use super::lock;
use crate::postgres::any;
use crate::postgres::error::Fault;
use crate::postgres::scope::TenantTx;
use crate::postgres::text::text;
use crate::record::{NEVER, correlation_id, singleton_name};

/// The run that the event joins in place of starting `run`, if there is one. From now on nobody else
/// applies flow control.
pub(in crate::postgres) async fn join(
    tx: &mut TenantTx<'_>,
    event: &NewEvent,
    run: &NewRun,
) -> Result<Option<RunId>, Fault> {
    lock(tx).await?;
    if let Some(rule) = &run.flow.debounce
        && let Some(gathering) = gathering(tx, rule).await?
    {
        let joined = gathering.run;
        postpone(tx, event, run, (rule, gathering)).await?;
        return Ok(Some(joined));
    }
    match &run.flow.singleton {
        Some(rule) if rule.when_busy == WhenBusy::Join => busy(tx, event, rule).await,
        _ => Ok(None),
    }
}

/// A run that gathers events and has not started.
struct Gathering {
    run: RunId,
    event: EventId,
    earliest: Timestamp,
    latest: Timestamp,
}

/// The run of that name, if nobody has ever had it and nobody wants its end. One that somebody holds
/// at this moment is being claimed or cancelled: it gathers no more.
async fn gathering(tx: &mut TenantTx<'_>, rule: &Debounce) -> Result<Option<Gathering>, Fault> {
    let row = sqlx::query(
        "SELECT g.run_id, r.event_id, g.earliest, g.latest
         FROM gathering g JOIN queue q ON q.tenant_id = g.tenant_id AND q.run_id = g.run_id
           JOIN run r ON r.tenant_id = g.tenant_id AND r.id = g.run_id
         WHERE g.tenant_id = $1 AND g.name = $2 AND q.lease_epoch = 0 AND NOT q.cancel_requested
           AND NOT EXISTS (SELECT 1 FROM step s WHERE s.tenant_id = $1 AND s.run_id = g.run_id)
         FOR UPDATE OF q SKIP LOCKED",
    )
    .bind(tx.tenant().0)
    .bind(&rule.name)
    .fetch_optional(tx.sql())
    .await?;
    let gathering = |row: &sqlx::postgres::PgRow| -> Result<Gathering, Fault> {
        Ok(Gathering {
            run: RunId(row.try_get(0)?),
            event: EventId(row.try_get(1)?),
            earliest: Timestamp(row.try_get(2)?),
            latest: Timestamp(row.try_get(3)?),
        })
    };
    row.as_ref().map(gathering).transpose()
}

/// Makes `run` the one that gathers, and gives the time at which it starts.
pub(super) async fn gather(
    tx: &mut TenantTx<'_>,
    event: &NewEvent,
    run: &NewRun,
    (rule, earliest): (&Debounce, Timestamp),
) -> Result<Timestamp, Fault> {
    let latest = event.received_at.plus(rule.max);
    sqlx::query(
        "INSERT INTO gathering (tenant_id, name, run_id, earliest, latest)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, name) DO UPDATE SET run_id = excluded.run_id,
           earliest = excluded.earliest, latest = excluded.latest",
    )
    .bind(tx.tenant().0)
    .bind(&rule.name)
    .bind(run.id.0)
    .bind(earliest.0)
    .bind(latest.0)
    .execute(tx.sql())
    .await?;
    Ok(event.received_at.plus(rule.wait).min(latest).max(earliest))
}

/// The event takes the place of the one before it, and the run starts later. The longer of the ways
/// that led to it counts: else a circle could begin anew with every event from outside.
async fn postpone(
    tx: &mut TenantTx<'_>,
    event: &NewEvent,
    run: &NewRun,
    (rule, gathering): (&Debounce, Gathering),
) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE run SET event_id = $3, trigger_name = $4, correlation_id = $5, deadline = $6,
           depth = greatest(depth, $7)
         WHERE tenant_id = $1 AND id = $2",
    )
    .bind(tx.tenant().0)
    .bind(gathering.run.0)
    .bind(event.id.0)
    .bind(text(&run.trigger))
    .bind(any::shortened(&correlation_id(&event.correlation_id)))
    .bind(run.deadline.map(|time| time.0))
    .bind(i64::from(run.depth))
    .execute(tx.sql())
    .await?;
    note(tx, gathering.run, gathering.event).await?;
    note(tx, gathering.run, event.id).await?;
    let start = event.received_at.plus(rule.wait).min(gathering.latest).max(gathering.earliest);
    sqlx::query(
        "UPDATE queue SET ready_at = $3, deadline = $4, available_at = CASE
           WHEN EXISTS (SELECT 1 FROM lane
                        WHERE tenant_id = $1 AND run_id = $2 AND state <> 0) THEN $5
           ELSE least($3, $5) END
         WHERE tenant_id = $1 AND run_id = $2",
    )
    .bind(tx.tenant().0)
    .bind(gathering.run.0)
    .bind(start.0)
    .bind(run.deadline.map(|time| time.0))
    .bind(run.deadline.unwrap_or(NEVER).0)
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// The newest run of that name whose end nobody wants.
async fn busy(
    tx: &mut TenantTx<'_>,
    event: &NewEvent,
    rule: &Singleton,
) -> Result<Option<RunId>, Fault> {
    let found: Option<uuid::Uuid> = sqlx::query_scalar(
        "SELECT l.run_id FROM lane l JOIN run r ON r.tenant_id = l.tenant_id AND r.id = l.run_id
         WHERE l.tenant_id = $1 AND l.name = $2 AND NOT r.cancel_requested
         ORDER BY l.id DESC LIMIT 1",
    )
    .bind(tx.tenant().0)
    .bind(singleton_name(rule))
    .fetch_optional(tx.sql())
    .await?;
    let found = found.map(RunId);
    if let Some(run) = found {
        note(tx, run, event.id).await?;
    }
    Ok(found)
}

/// Notes that the event goes when the run goes.
async fn note(tx: &mut TenantTx<'_>, run: RunId, event: EventId) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO joined (tenant_id, run_id, event_id) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING",
    )
    .bind(tx.tenant().0)
    .bind(run.0)
    .bind(event.0)
    .execute(tx.sql())
    .await?;
    Ok(())
}
