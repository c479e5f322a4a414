//! Runs that start, with their places in the queue and the steps they begin with.

use tombolo_core::ports::store::{NewEvent, NewRun};
use tombolo_core::run::RunState;
use uuid::Uuid;

use super::pack::Numbered;
use super::step::{self, Row};
use crate::postgres::any;
use crate::postgres::error::Fault;
use crate::postgres::scope::TenantTx;
use crate::postgres::text::text;
use crate::record::{RunItem, Text, correlation_id, hash_bytes, turn};

/// A run to be started, with its event and the numbers of that one's packs.
#[derive(Clone, Copy)]
pub(super) struct New<'a> {
    pub(super) event: &'a NewEvent,
    pub(super) packs: &'a Numbered,
    pub(super) item: &'a RunItem,
}

/// Stores them.
pub(super) async fn insert(tx: &mut TenantTx<'_>, runs: &[New<'_>]) -> Result<(), Fault> {
    if runs.is_empty() {
        return Ok(());
    }
    insert_runs(tx, runs).await?;
    insert_queued(tx, runs).await?;
    let steps: Vec<Row<'_>> = runs
        .iter()
        .flat_map(|new| {
            let (run, packs) = (new.item.run.id, new.packs);
            new.item.steps.iter().map(move |step| Row { run, step, packs })
        })
        .collect();
    step::upsert(tx, &steps).await
}

async fn insert_runs(tx: &mut TenantTx<'_>, runs: &[New<'_>]) -> Result<(), Fault> {
    let all = |of: fn(&NewRun) -> Option<Uuid>| -> Vec<Option<Uuid>> {
        runs.iter().map(|new| of(&new.item.run)).collect()
    };
    let times = |of: fn(&NewRun) -> Option<i64>| -> Vec<Option<i64>> {
        runs.iter().map(|new| of(&new.item.run)).collect()
    };
    let triggers: Vec<_> = runs.iter().map(|new| text(&new.item.run.trigger)).collect();
    let parents: Vec<Option<&str>> = runs
        .iter()
        .map(|new| new.item.run.parent.as_ref().map(|parent| parent.node.as_str()))
        .collect();
    let outputs: Vec<Option<Vec<u8>>> =
        runs.iter().map(|new| new.item.output.text.as_ref().map(any::text)).collect();
    let output_packs = runs
        .iter()
        .map(|new| new.packs.of(new.item.output.text.as_ref().and_then(Text::pack)))
        .collect::<Result<Vec<Option<i64>>, Fault>>()?;
    let hashes: Vec<Option<&[u8]>> =
        runs.iter().map(|new| hash_bytes(new.item.output.hash.as_ref())).collect();
    let correlation_ids: Vec<Vec<u8>> =
        runs.iter().map(|new| any::shortened(&correlation_id(&new.event.correlation_id))).collect();
    // In place of a foreign key, whose checks would all lock the version's row.
    let inserted = sqlx::query(
        "INSERT INTO run (tenant_id, id, workflow_id, version, event_id, trigger_name, state,
           correlation_id, created_at, deadline, parent_run, parent_node, parent_item, depth,
           replay_of, ended_at, output, output_hash, output_pack)
         SELECT $1, u.* FROM UNNEST($2::uuid[], $3::uuid[], $4::bigint[], $5::uuid[], $6::text[],
           $7::text[], $8::bytea[], $9::bigint[], $10::bigint[], $11::uuid[], $12::text[],
           $13::bigint[], $14::bigint[], $15::uuid[], $16::bigint[], $17::bytea[], $18::bytea[],
           $19::bigint[]) AS u (id, workflow_id, version, event_id, trigger_name, state,
           correlation_id, created_at, deadline, parent_run, parent_node, parent_item, depth,
           replay_of, ended_at, output, output_hash, output_pack)
         WHERE EXISTS (SELECT 1 FROM workflow_version v WHERE v.tenant_id = $1
                         AND v.workflow_id = u.workflow_id AND v.version = u.version)",
    )
    .bind(tx.tenant().0)
    .bind(all(|run| Some(run.id.0)))
    .bind(all(|run| Some(run.workflow.0)))
    .bind(times(|run| Some(run.version.into())))
    .bind(runs.iter().map(|new| new.event.id.0).collect::<Vec<_>>())
    .bind(triggers.iter().map(|trigger| &**trigger).collect::<Vec<&str>>())
    .bind(runs.iter().map(|new| state(&new.item.run).name()).collect::<Vec<&str>>())
    .bind(correlation_ids)
    .bind(runs.iter().map(|new| new.event.received_at.0).collect::<Vec<_>>())
    .bind(times(|run| run.deadline.map(|time| time.0)))
    .bind(all(|run| run.parent.as_ref().map(|parent| parent.run.0)))
    .bind(parents)
    .bind(times(|run| run.parent.as_ref().map(|parent| parent.item.into())))
    .bind(times(|run| Some(run.depth.into())))
    .bind(all(|run| run.replay_of.map(|run| run.0)))
    .bind(times(|run| run.ended.as_ref().map(|ended| ended.at.0)))
    .bind(outputs)
    .bind(hashes)
    .bind(output_packs)
    .execute(tx.sql())
    .await?;
    if inserted.rows_affected() == runs.len() as u64 {
        return Ok(());
    }
    let reason = "a row names a tenant, workflow or version that is not there";
    Err(Fault::Refused(reason.to_owned()))
}

fn state(run: &NewRun) -> RunState {
    match (&run.ended, &run.lease) {
        (Some(ended), _) => ended.state,
        (None, Some(_)) => RunState::Running,
        (None, None) => RunState::Queued,
    }
}

/// Those that have not ended.
async fn insert_queued(tx: &mut TenantTx<'_>, runs: &[New<'_>]) -> Result<(), Fault> {
    let queued: Vec<_> = runs.iter().filter(|new| new.item.run.ended.is_none()).collect();
    if queued.is_empty() {
        return Ok(());
    }
    let times = |new: &&New<'_>| i64::from(new.item.run.lease.is_some());
    let available = |new: &&New<'_>| match &new.item.run.lease {
        Some((_, until)) => until.0,
        None => new.event.received_at.0,
    };
    let owner = |new: &&New<'_>| new.item.run.lease.as_ref().map(|(owner, _)| owner.0.clone());
    sqlx::query(
        "INSERT INTO queue (tenant_id, run_id, available_at, lease_owner, lease_epoch, claims,
           priority, deadline, created_at)
         SELECT $1, run_id, available_at, lease_owner, times, times, priority, deadline, created_at
         FROM UNNEST($2::uuid[], $3::bigint[], $4::text[], $5::bigint[], $6::smallint[],
           $7::bigint[], $8::bigint[]) AS u (run_id, available_at, lease_owner, times, priority,
           deadline, created_at)",
    )
    .bind(tx.tenant().0)
    .bind(queued.iter().map(|new| new.item.run.id.0).collect::<Vec<Uuid>>())
    .bind(queued.iter().map(available).collect::<Vec<i64>>())
    .bind(queued.iter().map(owner).collect::<Vec<Option<String>>>())
    .bind(queued.iter().map(times).collect::<Vec<i64>>())
    .bind(queued.iter().map(|new| turn(new.item.run.flow.priority)).collect::<Vec<i16>>())
    .bind(
        queued
            .iter()
            .map(|new| new.item.run.deadline.map(|time| time.0))
            .collect::<Vec<Option<i64>>>(),
    )
    .bind(queued.iter().map(|new| new.event.received_at.0).collect::<Vec<i64>>())
    .execute(tx.sql())
    .await?;
    Ok(())
}
