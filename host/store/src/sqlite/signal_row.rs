//! Rows of `signal`.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{Signal, StepKey};

use super::below::Below;
use super::error::Fault;
use super::pack_row::Packs;
use super::row::{BODY, body, id, time};
use crate::record::{Damaged, unsigned};

/// The columns that [`read`] expects, of a signal `g`, and its tables.
macro_rules! signals {
    ($from:literal, $rest:literal) => {
        concat!(
            "SELECT g.tenant_id, g.run_id, g.node, g.item, g.body, g.body_hash, gp.bytes,
               gp.encoding, NULL, g.at FROM ",
            $from,
            " LEFT JOIN payload gp ON gp.hash = g.body_hash AND gp.tenant_id = g.tenant_id ",
            $rest
        )
    };
}

pub(super) use signals;

/// Reads one.
pub(super) fn read(row: &SqliteRow) -> Result<Signal, Fault> {
    let missing = || Damaged("a signal has no body".to_owned());
    Ok(Signal {
        tenant: TenantId(id(row, 0)?),
        run: RunId(id(row, 1)?),
        step: StepKey { node: row.try_get(2)?, item: unsigned(row.try_get(3)?)? },
        body: body(row, 4, &Packs::default(), "a signal's body")?.ok_or_else(missing)?,
        at: time(row, 4 + BODY)?,
    })
}

/// The signals of the queued runs of that list (see [`id_list`](super::row::id_list)). What cannot
/// be read fails its run only.
pub(super) async fn of_runs(
    connection: &mut SqliteConnection,
    runs: &str,
) -> Result<Below<Signal>, Fault> {
    let rows = sqlx::query(signals!(
        "json_each(?) j CROSS JOIN queue q ON q.run_id = unhex(j.value)
         CROSS JOIN signal g ON g.run_id = q.run_id",
        "ORDER BY g.run_id, g.node, g.item"
    ))
    .bind(runs)
    .fetch_all(connection)
    .await?;
    let mut signals = Below::new();
    for row in &rows {
        signals.entry(RunId(id(row, 1)?)).or_default().add(read(row));
    }
    Ok(signals)
}
