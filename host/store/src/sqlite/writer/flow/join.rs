//! Events that belong to a run that is there already: debounced ones, and those of a singleton.

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, RunId};
use tombolo_core::ports::store::{Debounce, NewEvent, NewRun, Singleton, WhenBusy};
use uuid::Uuid;

use crate::record::{NEVER, correlation_id, id, singleton_name, waits};
use crate::sqlite::error::Fault;

/// The run that the event joins in place of starting `run`, if there is one.
pub(in crate::sqlite::writer) fn join(
    connection: &Connection,
    event: &NewEvent,
    run: &NewRun,
) -> Result<Option<RunId>, Fault> {
    if !waits(run) {
        return Ok(None);
    }
    if let Some(rule) = &run.flow.debounce
        && let Some(gathering) = gathering(connection, event, rule)?
    {
        let joined = gathering.run;
        postpone(connection, event, run, (rule, gathering))?;
        return Ok(Some(joined));
    }
    match &run.flow.singleton {
        Some(rule) if rule.when_busy == WhenBusy::Join => busy(connection, event, rule),
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

/// The run of that name, if nobody has ever had it and nobody wants its end.
fn gathering(
    connection: &Connection,
    event: &NewEvent,
    rule: &Debounce,
) -> Result<Option<Gathering>, Fault> {
    let found = connection
        .prepare_cached(
            "SELECT g.run_id, r.event_id, g.earliest, g.latest
             FROM gathering g CROSS JOIN queue q ON q.run_id = g.run_id
               CROSS JOIN run r ON r.tenant_id = g.tenant_id AND r.id = g.run_id
             WHERE g.tenant_id = ? AND g.name = ? AND q.lease_epoch = 0
               AND r.cancel_requested = 0
               AND NOT EXISTS (SELECT 1 FROM step s WHERE s.run_id = g.run_id)",
        )?
        .query_row(params![id(&event.tenant.0), rule.name], |row| {
            Ok(Gathering {
                run: RunId(Uuid::from_bytes(row.get(0)?)),
                event: EventId(Uuid::from_bytes(row.get(1)?)),
                earliest: Timestamp(row.get(2)?),
                latest: Timestamp(row.get(3)?),
            })
        })
        .optional()?;
    Ok(found)
}

/// Makes `run` the one that gathers, and gives the time at which it starts.
pub(super) fn gather(
    connection: &Connection,
    event: &NewEvent,
    run: &NewRun,
    (rule, earliest): (&Debounce, Timestamp),
) -> Result<Timestamp, Fault> {
    let latest = event.received_at.plus(rule.max);
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO gathering (tenant_id, name, run_id, earliest, latest)
             VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![id(&event.tenant.0), rule.name, id(&run.id.0), earliest.0, latest.0])?;
    Ok(event.received_at.plus(rule.wait).min(latest).max(earliest))
}

/// The event takes the place of the one before it, and the run starts later. The longer of the ways
/// that led to it counts: else a circle could begin anew with every event from outside.
fn postpone(
    connection: &Connection,
    event: &NewEvent,
    run: &NewRun,
    (rule, gathering): (&Debounce, Gathering),
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "UPDATE run SET event_id = ?, trigger_name = ?, correlation_id = ?, deadline = ?,
               depth = max(depth, ?)
             WHERE tenant_id = ? AND id = ?",
        )?
        .execute(params![
            id(&event.id.0),
            run.trigger,
            correlation_id(&event.correlation_id),
            run.deadline.map(|time| time.0),
            run.depth,
            id(&event.tenant.0),
            id(&gathering.run.0),
        ])?;
    note(connection, gathering.run, gathering.event)?;
    note(connection, gathering.run, event.id)?;
    let start = event.received_at.plus(rule.wait).min(gathering.latest).max(gathering.earliest);
    let deadline = run.deadline.unwrap_or(NEVER);
    connection
        .prepare_cached(
            "UPDATE queue SET ready_at = ?2, available_at = CASE
               WHEN EXISTS (SELECT 1 FROM lane WHERE run_id = ?1 AND state <> 0) THEN ?3
               ELSE min(?2, ?3) END
             WHERE run_id = ?1",
        )?
        .execute(params![id(&gathering.run.0), start.0, deadline.0])?;
    Ok(())
}

/// The newest run of that name whose end nobody wants.
fn busy(
    connection: &Connection,
    event: &NewEvent,
    rule: &Singleton,
) -> Result<Option<RunId>, Fault> {
    let found = connection
        .prepare_cached(
            "SELECT l.run_id FROM lane l CROSS JOIN run r
               ON r.tenant_id = l.tenant_id AND r.id = l.run_id
             WHERE l.tenant_id = ? AND l.name = ? AND r.cancel_requested = 0
             ORDER BY l.id DESC LIMIT 1",
        )?
        .query_row(params![id(&event.tenant.0), singleton_name(rule)], |row| row.get(0))
        .optional()?
        .map(|run| RunId(Uuid::from_bytes(run)));
    if let Some(run) = found {
        note(connection, run, event.id)?;
    }
    Ok(found)
}

/// Notes that the event goes when the run goes.
fn note(connection: &Connection, run: RunId, event: EventId) -> Result<(), Fault> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO joined (run_id, event_id) VALUES (?, ?)")?
        .execute([id(&run.0), id(&event.0)])?;
    Ok(())
}
