//! Flow control: what a run has to wait for before it starts. Applied in the transactions that
//! accept, claim, park and end it, and only for runs that have to wait for something.

mod join;
mod lane;
mod throttle;

pub(super) use join::join;
pub(super) use lane::{admit, leave, step_aside};

use rusqlite::{Connection, params};
use tombolo_core::clock::Timestamp;
use tombolo_core::ports::store::{NewEvent, NewRun, Singleton, WhenBusy};

use super::cancel;
use crate::group::Cancel;
use crate::record::{NEVER, id, singleton_lane, singleton_name};
use crate::sqlite::error::Fault;

/// Lines up a run that has just been put into the queue.
pub(super) fn line_up(
    connection: &Connection,
    event: &NewEvent,
    run: &NewRun,
) -> Result<(), Fault> {
    let (flow, now) = (&run.flow, event.received_at);
    let earliest = match &flow.throttle {
        Some(rule) => throttle::next_start(connection, event.tenant, rule, now)?,
        None => now,
    };
    let mut ready_at = earliest;
    if let Some(rule) = &flow.debounce {
        ready_at = join::gather(connection, event, run, (rule, earliest))?;
    }
    for lane in &flow.lanes {
        lane::insert(connection, event.tenant, run, lane)?;
    }
    if let Some(singleton) = &flow.singleton {
        if singleton.when_busy == WhenBusy::Replace {
            replace(connection, event, singleton)?;
        }
        lane::insert(connection, event.tenant, run, &singleton_lane(singleton))?;
    }
    let has_place = lane::take(connection, run.id, "")?.is_none();
    let deadline = run.deadline.unwrap_or(NEVER);
    let available_at = if has_place { ready_at.min(deadline) } else { deadline };
    set_due(connection, run, (available_at, ready_at))
}

fn set_due(
    connection: &Connection,
    run: &NewRun,
    (available_at, ready_at): (Timestamp, Timestamp),
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "UPDATE queue SET flow = 1, available_at = ?, ready_at = ? WHERE run_id = ?",
        )?
        .execute(params![available_at.0, ready_at.0, id(&run.id.0)])?;
    Ok(())
}

/// Asks for the end of the runs of that name.
fn replace(connection: &Connection, event: &NewEvent, singleton: &Singleton) -> Result<(), Fault> {
    let name = singleton_name(singleton);
    for run in lane::wanted(connection, event.tenant, &name)? {
        let cancel = Cancel { tenant: event.tenant, run, audit: None };
        cancel::apply(connection, &cancel)?;
    }
    Ok(())
}
