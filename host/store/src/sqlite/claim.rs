//! What a claim brings: the runs that were just leased, with their events, steps, journals and
//! signals. All statements look for the queued runs of a list (see [`id_list`]).

use std::collections::HashMap;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use tombolo_core::ports::store::{Claimed, Journaled, Signal, WorkerId};

use super::error::Fault;
use super::ids::id_list;
use super::{packs, steps};
use crate::group::Leased;
use crate::rows::{
    Below, Fetched, RUN_PACKS, below, event_payload, journal_columns, journaled, loaded,
    output_columns, output_payload, payload_columns, run_columns, signal, signals,
};

/// Reads the runs that were just leased.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    worker: &WorkerId,
    leased: &[Leased],
) -> Result<Vec<Claimed>, Fault> {
    let list = id_list(leased.iter().map(|leased| leased.run.0));
    let rows = runs(connection, &list).await?;
    let packs = packs::of(connection, &rows, &RUN_PACKS).await?;
    let runs = loaded(&rows, &packs)?;
    let signals = if Fetched::signalled(&runs) {
        signals_of(connection, &list).await?
    } else {
        HashMap::new()
    };
    let steps = steps::of_runs(connection, &list).await?;
    let journals = journals(connection, &list).await?;
    Ok(Fetched { runs, steps, journals, signals }.put_together(worker, leased))
}

async fn runs(connection: &mut SqliteConnection, list: &str) -> Result<Vec<SqliteRow>, Fault> {
    let query = sqlx::query(concat!(
        "SELECT ",
        run_columns!(),
        output_columns!(),
        ", ",
        payload_columns!(),
        ", EXISTS (SELECT 1 FROM signal g WHERE g.run_id = r.id)
          FROM json_each(?) j CROSS JOIN queue q ON q.run_id = unhex(j.value)
          CROSS JOIN run r ON r.tenant_id = q.tenant_id AND r.id = q.run_id
          CROSS JOIN event e ON e.tenant_id = r.tenant_id AND e.id = r.event_id",
        output_payload!(),
        event_payload!(),
    ));
    Ok(query.bind(list).fetch_all(connection).await?)
}

/// What cannot be read fails its run only: a call that was made must not be made again for lack of
/// its record.
async fn journals(
    connection: &mut SqliteConnection,
    list: &str,
) -> Result<Below<Journaled>, Fault> {
    let query = sqlx::query(concat!(
        "SELECT ",
        journal_columns!(),
        " FROM json_each(?) j CROSS JOIN queue q ON q.run_id = unhex(j.value)
          CROSS JOIN journal e ON e.tenant_id = q.tenant_id AND e.run_id = q.run_id
          ORDER BY e.run_id, e.node, e.item, e.place",
    ));
    Ok(below(&query.bind(list).fetch_all(connection).await?, journaled)?)
}

async fn signals_of(connection: &mut SqliteConnection, list: &str) -> Result<Below<Signal>, Fault> {
    let query = sqlx::query(signals!(
        "json_each(?) j CROSS JOIN queue q ON q.run_id = unhex(j.value)
         CROSS JOIN signal g ON g.run_id = q.run_id",
        "ORDER BY g.run_id, g.node, g.item"
    ));
    Ok(below(&query.bind(list).fetch_all(connection).await?, signal)?)
}
