//! What becomes of runs after a settle: they go on, are parked, or end.
//!
//! Statements that join runs with what is written of them name the runs' ids a second time (`ANY`). A
//! plan that was made while the table was empty may begin with the table, and would else read all of the
//! tenant's runs from then on.

use sqlx::Row;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Signal, StepKey};
use tombolo_core::run::{RunState, end_of_call, error_of_call};
use uuid::Uuid;

use super::settle::Writing;
use crate::postgres::any;
use crate::postgres::cancel;
use crate::postgres::error::Fault;
use crate::postgres::flow::Leaves;
use crate::postgres::queue::{self, these};
use crate::postgres::scope::TenantTx;
use crate::postgres::signal;
use crate::postgres::text::text;
use crate::record::{Body, Outcome, Text, from_json, hash_bytes, unsigned};

/// A run that ends.
struct End<'a> {
    writing: &'a Writing<'a>,
    state: RunState,
    output: &'a Body,
    error: Option<&'a str>,
}

/// A run that is parked.
struct Park<'a> {
    writing: &'a Writing<'a>,
    state: RunState,
    available_at: Timestamp,
    connections: Option<&'a str>,
}

/// Writes it.
pub(super) async fn apply(
    tx: &mut TenantTx<'_>,
    writings: &[Writing<'_>],
    leaves: &mut Leaves,
) -> Result<(), Fault> {
    let (mut holds, mut parks, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for writing in writings {
        match &writing.item.next {
            Outcome::Hold => holds.push(writing),
            Outcome::Park { state, available_at, connections } => parks.push(Park {
                writing,
                state: *state,
                available_at: *available_at,
                connections: connections.as_deref(),
            }),
            Outcome::End { state, output, error } => {
                ends.push(End { writing, state: *state, output, error: error.as_deref() });
            }
        }
    }
    hold(tx, &holds).await?;
    park(tx, &parks, leaves).await?;
    end(tx, &ends, leaves).await
}

fn run(writing: &Writing<'_>) -> Uuid {
    writing.item.lease.run.0
}

/// They go on: whoever claims them next knows that they make progress, and where their packs are.
async fn hold(tx: &mut TenantTx<'_>, holds: &[&Writing<'_>]) -> Result<(), Fault> {
    if holds.is_empty() {
        return Ok(());
    }
    sqlx::query(concat!(
        "UPDATE queue SET claims = 0, pack = coalesce(u.pack, queue.pack)
         FROM UNNEST($2::uuid[], $3::bigint[]) AS u (id, pack) WHERE run_id = u.id AND ",
        these!(),
    ))
    .bind(tx.tenant().0)
    .bind(holds.iter().map(|writing| run(writing)).collect::<Vec<Uuid>>())
    .bind(holds.iter().map(|writing| writing.packs.last()).collect::<Vec<Option<i64>>>())
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn park(tx: &mut TenantTx<'_>, parks: &[Park<'_>], leaves: &mut Leaves) -> Result<(), Fault> {
    if parks.is_empty() {
        return Ok(());
    }
    for park in parks {
        if park.writing.held.reopened {
            reopen(tx, park.writing.item.lease.run).await?;
        }
        if let Some(names) = park.connections {
            queue::wait_for(tx, park.writing.item.lease.run, names).await?;
        }
        // One that could go on at once keeps its places.
        if park.writing.held.flow && park.state == RunState::Waiting {
            leaves.step_aside(park.writing.item.lease.run, park.writing.item.now);
        }
    }
    give_back(tx, parks).await?;
    sqlx::query(
        "UPDATE run r SET state = u.state FROM UNNEST($2::uuid[], $3::text[]) AS u (id, state)
         WHERE r.tenant_id = $1 AND r.id = u.id AND r.id = ANY($2)",
    )
    .bind(tx.tenant().0)
    .bind(parks.iter().map(|park| run(park.writing)).collect::<Vec<Uuid>>())
    .bind(parks.iter().map(|park| park.state.name()).collect::<Vec<&str>>())
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Gives the leases back. Due at once if somebody asked for the run's end, if a signal is there for a
/// step that waits, or if a connection it waits for is not paused.
async fn give_back(tx: &mut TenantTx<'_>, parks: &[Park<'_>]) -> Result<(), Fault> {
    sqlx::query(concat!(
        "UPDATE queue q SET lease_owner = NULL, claims = 0, connections = u.connections,
           waiting = u.waiting, reopened = false, pack = coalesce(u.pack, q.pack),
           available_at = CASE
             WHEN q.cancel_requested
               OR EXISTS (SELECT 1 FROM signal g JOIN step s
                            ON s.tenant_id = g.tenant_id AND s.run_id = g.run_id
                            AND s.node = g.node AND s.item = g.item
                          WHERE g.tenant_id = $1 AND g.run_id = q.run_id AND s.state = 'waiting')
               OR EXISTS (SELECT 1 FROM jsonb_array_elements_text(u.connections::jsonb) AS j (name)
                          WHERE NOT EXISTS (SELECT 1 FROM connection c
                                            WHERE c.tenant_id = $1 AND c.name = j.name
                                              AND c.paused_at IS NOT NULL))
               THEN least(u.available_at, u.now)
             ELSE u.available_at END
         FROM UNNEST($2::uuid[], $3::bigint[], $4::bigint[], $5::text[], $6::boolean[],
           $7::bigint[]) AS u (id, available_at, now, connections, waiting, pack)
         WHERE run_id = u.id AND ",
        these!(),
    ))
    .bind(tx.tenant().0)
    .bind(parks.iter().map(|park| run(park.writing)).collect::<Vec<Uuid>>())
    .bind(parks.iter().map(|park| park.available_at.0).collect::<Vec<i64>>())
    .bind(parks.iter().map(|park| park.writing.item.now.0).collect::<Vec<i64>>())
    .bind(parks.iter().map(|park| park.connections).collect::<Vec<Option<&str>>>())
    .bind(parks.iter().map(|park| park.state == RunState::Waiting).collect::<Vec<bool>>())
    .bind(parks.iter().map(|park| park.writing.packs.last()).collect::<Vec<Option<i64>>>())
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// A run that had ended goes on: how it ended, and who asked for that, is forgotten.
async fn reopen(tx: &mut TenantTx<'_>, run: RunId) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE run SET cancel_requested = false, ended_at = NULL, error = NULL, output = NULL,
           output_hash = NULL, output_pack = NULL
         WHERE tenant_id = $1 AND id = $2",
    )
    .bind(tx.tenant().0)
    .bind(run.0)
    .execute(tx.sql())
    .await?;
    forget_bad_end(tx, run).await
}

/// It is no longer among those that ended badly.
async fn forget_bad_end(tx: &mut TenantTx<'_>, run: RunId) -> Result<(), Fault> {
    sqlx::query(
        "DELETE FROM run_ended_badly
         WHERE tenant_id = $1 AND state IN ('failed', 'cancelled') AND run_id = $2",
    )
    .bind(tx.tenant().0)
    .bind(run.0)
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn end(tx: &mut TenantTx<'_>, ends: &[End<'_>], leaves: &mut Leaves) -> Result<(), Fault> {
    if ends.is_empty() {
        return Ok(());
    }
    for end in ends {
        if end.writing.held.reopened {
            forget_bad_end(tx, end.writing.item.lease.run).await?;
        }
        if end.writing.held.flow {
            leaves.leave(end.writing.item.lease.run, end.writing.item.now);
        }
    }
    let runs: Vec<Uuid> = ends.iter().map(|end| run(end.writing)).collect();
    sqlx::query(concat!("DELETE FROM queue WHERE ", these!()))
        .bind(tx.tenant().0)
        .bind(&runs)
        .execute(tx.sql())
        .await?;
    let called = write_ends(tx, runs, ends).await?;
    list_bad_ends(tx, ends).await?;
    for end in ends {
        let caller = called.iter().find(|called| called.run == end.writing.item.lease.run);
        if let (Some(called), Some(error)) = (caller, end.error)
            && end.state == RunState::Failed
            && end.writing.item.signal.is_none()
        {
            tell_caller(tx, end, called, error).await?;
        }
    }
    let cancelled = |end: &&End<'_>| end.state == RunState::Cancelled;
    let cancelled: Vec<RunId> =
        ends.iter().filter(cancelled).map(|end| end.writing.item.lease.run).collect();
    cancel::reach_called(tx, cancelled).await
}

/// A run that another one has called.
struct Called {
    run: RunId,
    caller: RunId,
    step: StepKey,
}

/// Writes the runs' rows, and gives those that were called.
async fn write_ends(
    tx: &mut TenantTx<'_>,
    runs: Vec<Uuid>,
    ends: &[End<'_>],
) -> Result<Vec<Called>, Fault> {
    let output_packs = ends
        .iter()
        .map(|end| end.writing.packs.of(end.output.text.as_ref().and_then(Text::pack)))
        .collect::<Result<Vec<Option<i64>>, Fault>>()?;
    let packs = |end: &End<'_>| end.writing.packs.last().or(end.writing.held.pack);
    let errors: Vec<_> = ends.iter().map(|end| end.error.map(text)).collect();
    let rows = sqlx::query(
        "UPDATE run r SET state = u.state, ended_at = u.ended_at, error = u.error,
           output = u.output, output_hash = u.output_hash, output_pack = u.output_pack,
           last_epoch = u.epoch, pack = u.pack
         FROM UNNEST($2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::bytea[], $7::bytea[],
           $8::bigint[], $9::bigint[], $10::bigint[]) AS u (id, state, ended_at, error, output,
           output_hash, output_pack, epoch, pack)
         WHERE r.tenant_id = $1 AND r.id = u.id AND r.id = ANY($2)
         RETURNING r.id, r.parent_run, r.parent_node, r.parent_item",
    )
    .bind(tx.tenant().0)
    .bind(runs)
    .bind(ends.iter().map(|end| end.state.name()).collect::<Vec<&str>>())
    .bind(ends.iter().map(|end| end.writing.item.now.0).collect::<Vec<i64>>())
    .bind(errors.iter().map(Option::as_deref).collect::<Vec<Option<&str>>>())
    .bind(ends.iter().map(|end| end.output.text.as_ref().map(any::text)).collect::<Vec<_>>())
    .bind(ends.iter().map(|end| hash_bytes(end.output.hash.as_ref())).collect::<Vec<_>>())
    .bind(output_packs)
    .bind(ends.iter().map(|end| end.writing.item.lease.epoch).collect::<Vec<i64>>())
    .bind(ends.iter().map(packs).collect::<Vec<Option<i64>>>())
    .fetch_all(tx.sql())
    .await?;
    let mut called = Vec::new();
    for row in rows {
        if let Some(caller) = row.try_get(1)? {
            let step = StepKey { node: row.try_get(2)?, item: unsigned(row.try_get(3)?)? };
            called.push(Called { run: RunId(row.try_get(0)?), caller: RunId(caller), step });
        }
    }
    Ok(called)
}

async fn list_bad_ends(tx: &mut TenantTx<'_>, ends: &[End<'_>]) -> Result<(), Fault> {
    let bad: Vec<_> = ends
        .iter()
        .filter(|end| matches!(end.state, RunState::Failed | RunState::Cancelled))
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO run_ended_badly (tenant_id, state, run_id)
         SELECT $1, state, run_id FROM UNNEST($2::text[], $3::uuid[]) AS u (state, run_id)
         ON CONFLICT DO NOTHING",
    )
    .bind(tx.tenant().0)
    .bind(bad.iter().map(|end| end.state.name()).collect::<Vec<&str>>())
    .bind(bad.iter().map(|end| run(end.writing)).collect::<Vec<Uuid>>())
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Tells the step that called the run why it failed, as the settle does not.
async fn tell_caller(
    tx: &mut TenantTx<'_>,
    end: &End<'_>,
    called: &Called,
    error: &str,
) -> Result<(), Fault> {
    let error = error_of_call(called.run, from_json(error, "a run's error")?);
    let signal = Signal {
        tenant: tx.tenant(),
        run: called.caller,
        step: called.step.clone(),
        body: end_of_call(None, Some(&error)),
        at: end.writing.item.now,
    };
    signal::tell_caller(tx, &signal.into(), called.run).await
}
