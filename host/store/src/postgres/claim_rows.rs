//! What a claim brings: runs of one tenant that were just leased, with their events, steps, journals
//! and signals. To be read on one state of the database ([`Kind::Read`](super::scope::Kind)).

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use tombolo_core::ports::store::{Claimed, Signal, WorkerId};
use uuid::Uuid;

use super::error::Fault;
use super::packs;
use super::scope::TenantTx;
use crate::group::Leased;
use crate::rows::{
    Below, Fetched, RUN_PACKS, STEP_PACK, below, event_payload, journal_columns, journaled, loaded,
    numbers, output_columns, output_payload, payload_columns, run_columns, signal, signals, step,
    step_columns, step_payloads,
};

/// Reads those of the leased runs that are of the transaction's tenant.
///
/// A run that cannot be read does not keep the others from being worked on. One that was lost again
/// meanwhile is left out.
pub(super) async fn load(
    tx: &mut TenantTx<'_>,
    worker: &WorkerId,
    leased: &[Leased],
) -> Result<Vec<Claimed>, Fault> {
    let list: Vec<Uuid> = leased.iter().map(|leased| leased.run.0).collect();
    let runs = runs(tx, &list).await?;
    let steps = steps(tx, &list).await?;
    let mut numbers_of_packs = numbers(&runs, &RUN_PACKS)?;
    numbers_of_packs.append(&mut numbers(&steps, &[STEP_PACK])?);
    let packs = packs::of(tx, numbers_of_packs).await?;
    let runs = loaded(&runs, &packs)?;
    let signals =
        if Fetched::signalled(&runs) { signals_of(tx, &list).await? } else { HashMap::new() };
    let fetched = Fetched {
        runs,
        steps: below(&steps, |row| step(row, &packs))?,
        // What cannot be read fails its run only: a call that was made must not be made again for
        // lack of its record.
        journals: below(&journals(tx, &list).await?, journaled)?,
        signals,
    };
    Ok(fetched.put_together(worker, leased))
}

async fn runs(tx: &mut TenantTx<'_>, list: &[Uuid]) -> Result<Vec<PgRow>, Fault> {
    let query = sqlx::query(concat!(
        "SELECT ",
        run_columns!(),
        output_columns!(),
        ", ",
        payload_columns!(),
        ", EXISTS (SELECT 1 FROM signal g WHERE g.tenant_id = $1 AND g.run_id = r.id)
          FROM run r
          JOIN event e ON e.tenant_id = r.tenant_id AND e.id = r.event_id",
        output_payload!(),
        event_payload!(),
        // OFFSET: as in `keep`.
        " WHERE r.tenant_id = $1 AND r.id = ANY($2) AND EXISTS (
            SELECT 1 FROM queue q
            WHERE q.run_id = r.id AND q.tenant_id = r.tenant_id OFFSET 0)",
    ));
    Ok(query.bind(tx.tenant().0).bind(list).fetch_all(tx.sql()).await?)
}

async fn steps(tx: &mut TenantTx<'_>, list: &[Uuid]) -> Result<Vec<PgRow>, Fault> {
    let query = sqlx::query(concat!(
        "SELECT ",
        step_columns!("s.plugin"),
        " FROM step s",
        step_payloads!(),
        " WHERE s.tenant_id = $1 AND s.run_id = ANY($2)",
    ));
    Ok(query.bind(tx.tenant().0).bind(list).fetch_all(tx.sql()).await?)
}

async fn journals(tx: &mut TenantTx<'_>, list: &[Uuid]) -> Result<Vec<PgRow>, Fault> {
    let query = sqlx::query(concat!(
        "SELECT ",
        journal_columns!(),
        " FROM journal e WHERE e.tenant_id = $1 AND e.run_id = ANY($2)
          ORDER BY e.run_id, e.node, e.item, e.place",
    ));
    Ok(query.bind(tx.tenant().0).bind(list).fetch_all(tx.sql()).await?)
}

async fn signals_of(tx: &mut TenantTx<'_>, list: &[Uuid]) -> Result<Below<Signal>, Fault> {
    let query = sqlx::query(signals!(
        "signal g",
        "WHERE g.tenant_id = $1 AND g.run_id = ANY($2) ORDER BY g.run_id, g.node, g.item"
    ));
    let rows = query.bind(tx.tenant().0).bind(list).fetch_all(tx.sql()).await?;
    Ok(below(&rows, signal)?)
}
