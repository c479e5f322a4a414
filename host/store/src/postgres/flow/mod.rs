//! Flow control: what a run has to wait for before it starts. Applied in the transactions that
//! accept, claim, park and end it, and only for runs that have to wait for something.
//!
//! Of a tenant's transactions one at a time applies it: who does so has the tenant's row of
//! `flow_lock`. It may hold runs by then, so from there on it waits for no other run.

mod join;
mod lane;
mod throttle;

pub(super) use join::join;
pub(super) use lane::admit;

use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{NewEvent, NewRun, Singleton, WhenBusy};

use super::cancel;
use super::error::Fault;
use super::scope::TenantTx;
use crate::record::{NEVER, singleton_lane, singleton_name};

/// Waits until no other transaction applies flow control to the tenant's runs, and keeps others from
/// it until this one is done.
pub(super) async fn lock(tx: &mut TenantTx<'_>) -> Result<(), Fault> {
    let tenant = tx.tenant().0;
    let locked: Option<i32> =
        sqlx::query_scalar("SELECT 1 FROM flow_lock WHERE tenant_id = $1 FOR UPDATE")
            .bind(tenant)
            .fetch_optional(tx.sql())
            .await?;
    if locked.is_some() {
        return Ok(());
    }
    // The first of this tenant. Whoever else makes the row at the same time waits here.
    sqlx::query("INSERT INTO flow_lock (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(tenant)
        .execute(tx.sql())
        .await?;
    sqlx::query("SELECT 1 FROM flow_lock WHERE tenant_id = $1 FOR UPDATE")
        .bind(tenant)
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// Runs that give places back, when everything else of a transaction is written.
#[derive(Debug, Default)]
pub(super) struct Leaves(Vec<Leave>);

#[derive(Debug)]
struct Leave {
    run: RunId,
    now: Timestamp,
    kept: Kept,
}

/// What a run keeps of its places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// It has ended.
    Nothing,
    /// It is parked.
    SomePlaces,
}

impl Leaves {
    /// The run has ended.
    pub(super) fn leave(&mut self, run: RunId, now: Timestamp) {
        self.0.push(Leave { run, now, kept: Kept::Nothing });
    }

    /// The run is parked.
    pub(super) fn step_aside(&mut self, run: RunId, now: Timestamp) {
        self.0.push(Leave { run, now, kept: Kept::SomePlaces });
    }
}

/// Gives the places to others.
pub(super) async fn leave(tx: &mut TenantTx<'_>, leaves: Leaves) -> Result<(), Fault> {
    if leaves.0.is_empty() {
        return Ok(());
    }
    lock(tx).await?;
    for Leave { run, now, kept } in leaves.0 {
        match kept {
            Kept::Nothing => lane::leave(tx, run, now).await?,
            Kept::SomePlaces => lane::step_aside(tx, run, now).await?,
        }
    }
    Ok(())
}

/// Lines up a run that has just been put into the queue. The lock was taken when it did not join
/// another one.
pub(super) async fn line_up(
    tx: &mut TenantTx<'_>,
    event: &NewEvent,
    run: &NewRun,
) -> Result<(), Fault> {
    let (flow, now) = (&run.flow, event.received_at);
    let earliest = match &flow.throttle {
        Some(rule) => throttle::next_start(tx, rule, now).await?,
        None => now,
    };
    let mut ready_at = earliest;
    if let Some(rule) = &flow.debounce {
        ready_at = join::gather(tx, event, run, (rule, earliest)).await?;
    }
    for lane in &flow.lanes {
        lane::insert(tx, run, lane).await?;
    }
    if let Some(singleton) = &flow.singleton {
        if singleton.when_busy == WhenBusy::Replace {
            replace(tx, singleton).await?;
        }
        lane::insert(tx, run, &singleton_lane(singleton)).await?;
    }
    let has_place = lane::take(tx, run.id, "").await?.is_none();
    let deadline = run.deadline.unwrap_or(NEVER);
    let available_at = if has_place { ready_at.min(deadline) } else { deadline };
    sqlx::query(
        "UPDATE queue SET flow = true, available_at = $3, ready_at = $4
         WHERE tenant_id = $1 AND run_id = $2",
    )
    .bind(tx.tenant().0)
    .bind(run.id.0)
    .bind(available_at.0)
    .bind(ready_at.0)
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Asks for the end of the runs of that name.
async fn replace(tx: &mut TenantTx<'_>, singleton: &Singleton) -> Result<(), Fault> {
    let name = singleton_name(singleton);
    for run in lane::wanted(tx, &name).await? {
        cancel::apply(tx, run, None).await?;
    }
    Ok(())
}
