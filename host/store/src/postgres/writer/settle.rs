//! Settle: results of runs, each under its lease. What they bring is written by the file of each kind.

use std::collections::{HashMap, HashSet};

use sqlx::Row;
use tombolo_core::ports::store::StoreError;
use uuid::Uuid;

use super::pack::{self, Numbered, Numbers, Packs};
use super::step::{self, Call};
use super::{journal, letter, next, payload, state};
use crate::postgres::error::Fault;
use crate::postgres::flow::Leaves;
use crate::postgres::queue::these;
use crate::postgres::scope::TenantTx;
use crate::postgres::{audit, pause, signal};
use crate::record::SettleItem;

/// What the queue knows of a run.
#[derive(Debug, Clone)]
pub(super) struct Held {
    owner: Option<String>,
    epoch: i64,
    /// It may be in lanes.
    pub(super) flow: bool,
    /// It had ended, and is being repaired.
    pub(super) reopened: bool,
    /// The last that was written for it.
    pub(super) pack: Option<i64>,
}

/// A settle whose lease holds, with the numbers of its packs.
pub(super) struct Writing<'a> {
    pub(super) item: &'a SettleItem,
    pub(super) held: Held,
    pub(super) packs: Numbered,
}

/// Writes the results, or says for each why not: the checks come first, so that a refusal has written
/// nothing. What becomes of the places in lanes is left to the caller.
pub(super) async fn apply(
    tx: &mut TenantTx<'_>,
    numbers: &mut Numbers,
    items: &[&SettleItem],
) -> Result<(Vec<Result<(), StoreError>>, Leaves), Fault> {
    let mut outcomes: Vec<_> = items.iter().map(|_| Ok(())).collect();
    let mut leaves = Leaves::default();
    lock(tx, items).await?;
    let mut left: Vec<usize> = (0..items.len()).collect();
    // Usually one round. A second settle of a run is built on the first.
    while !left.is_empty() {
        let mut runs = HashSet::new();
        let (round, later): (Vec<usize>, Vec<usize>) =
            left.into_iter().partition(|place| runs.insert(items[*place].lease.run));
        let mut held = held(tx, &runs.iter().map(|run| run.0).collect::<Vec<_>>()).await?;
        let mut writings = Vec::with_capacity(round.len());
        for place in round {
            let item = items[place];
            match check(tx, item, held.remove(&item.lease.run.0)).await? {
                Ok(held) => writings.push(Writing { item, held, packs: Numbered::default() }),
                Err(refusal) => outcomes[place] = Err(refusal),
            }
        }
        write(tx, numbers, &mut writings, &mut leaves).await?;
        left = later;
    }
    Ok((outcomes, leaves))
}

/// Locks the runs, and those that are told of an end, in the order of their ids.
async fn lock(tx: &mut TenantTx<'_>, items: &[&SettleItem]) -> Result<(), Fault> {
    let callers = items.iter().filter_map(|item| item.signal.as_ref()).map(|signal| signal.run.0);
    let runs: HashSet<Uuid> = items.iter().map(|item| item.lease.run.0).chain(callers).collect();
    if runs.len() > items.len() {
        let runs: Vec<Uuid> = runs.into_iter().collect();
        held(tx, &runs).await?;
    }
    Ok(())
}

/// Locks runs, and gives what the queue knows of them.
async fn held(tx: &mut TenantTx<'_>, runs: &[Uuid]) -> Result<HashMap<Uuid, Held>, Fault> {
    let rows = sqlx::query(concat!(
        "SELECT run_id, lease_owner, lease_epoch, flow, reopened, pack FROM queue WHERE ",
        these!(),
        " ORDER BY run_id FOR UPDATE",
    ))
    .bind(tx.tenant().0)
    .bind(runs)
    .fetch_all(tx.sql())
    .await?;
    let held = |row: &sqlx::postgres::PgRow| {
        let held = Held {
            owner: row.try_get(1)?,
            epoch: row.try_get(2)?,
            flow: row.try_get(3)?,
            reopened: row.try_get(4)?,
            pack: row.try_get(5)?,
        };
        Ok((row.try_get(0)?, held))
    };
    rows.iter().map(held).collect()
}

/// The fence, and then the state of nodes, which is changed if all of it may be.
async fn check(
    tx: &mut TenantTx<'_>,
    item: &SettleItem,
    held: Option<Held>,
) -> Result<Result<Held, StoreError>, Fault> {
    let lease = &item.lease;
    let ours = |held: &Held| {
        held.owner.as_deref() == Some(lease.owner.0.as_str()) && held.epoch == lease.epoch
    };
    let Some(held) = held.filter(ours) else {
        return Ok(Err(StoreError::LeaseLost { run: lease.run }));
    };
    Ok(state::apply(tx, item).await?.map(|()| held))
}

async fn write(
    tx: &mut TenantTx<'_>,
    numbers: &mut Numbers,
    writings: &mut [Writing<'_>],
    leaves: &mut Leaves,
) -> Result<(), Fault> {
    let counts = writings.iter().map(|writing| writing.item.texts.packs.len());
    let numbered = pack::number(tx, numbers, counts).await?;
    for (writing, packs) in writings.iter_mut().zip(numbered) {
        writing.packs = packs;
    }
    write_results(tx, writings).await?;
    for writing in writings.iter() {
        write_beside(tx, writing.item).await?;
    }
    // Last: whether a parked run is due at once depends on its steps, its signals and the pauses.
    next::apply(tx, writings, leaves).await
}

/// What nearly every run brings.
async fn write_results(tx: &mut TenantTx<'_>, writings: &[Writing<'_>]) -> Result<(), Fault> {
    let packs: Vec<(Packs<'_>, &Numbered)> = writings
        .iter()
        .map(|writing| {
            let packs = &writing.item.texts.packs;
            (Packs { packs, before: writing.held.pack }, &writing.packs)
        })
        .collect();
    pack::insert(tx, &packs).await?;
    let payloads: Vec<_> = writings
        .iter()
        .flat_map(|writing| {
            let owner = writing.item.lease.run.0;
            writing.item.texts.payloads.iter().map(move |payload| (owner, payload))
        })
        .collect();
    payload::insert(tx, &payloads).await?;
    let steps: Vec<step::Row<'_>> = writings
        .iter()
        .flat_map(|writing| {
            let (run, packs) = (writing.item.lease.run, &writing.packs);
            writing.item.steps.iter().map(move |step| step::Row { run, step, packs })
        })
        .collect();
    step::upsert(tx, &steps).await?;
    let calls: Vec<Call<'_>> = writings
        .iter()
        .flat_map(|writing| {
            let (run, packs) = (writing.item.lease.run, &writing.packs);
            writing.item.effects.iter().map(move |effect| Call { run, effect, packs })
        })
        .collect();
    step::upsert_calls(tx, &calls).await
}

/// What few runs bring.
async fn write_beside(tx: &mut TenantTx<'_>, item: &SettleItem) -> Result<(), Fault> {
    journal::apply(tx, item).await?;
    signal::delete_used(tx, item.lease.run, &item.used).await?;
    if let Some(end) = &item.signal {
        signal::tell_caller(tx, end, item.lease.run).await?;
    }
    letter::apply(tx, item).await?;
    pause::set(tx, item).await?;
    audit::append(tx, &item.audit).await?;
    if let Some(deadline) = item.deadline {
        sqlx::query("UPDATE run SET deadline = $3 WHERE tenant_id = $1 AND id = $2")
            .bind(tx.tenant().0)
            .bind(item.lease.run.0)
            .bind(deadline.0)
            .execute(tx.sql())
            .await?;
        sqlx::query("UPDATE queue SET deadline = $3 WHERE tenant_id = $1 AND run_id = $2")
            .bind(tx.tenant().0)
            .bind(item.lease.run.0)
            .bind(deadline.0)
            .execute(tx.sql())
            .await?;
    }
    Ok(())
}
