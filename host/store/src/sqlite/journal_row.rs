//! Rows of `journal`.

use bytes::Bytes;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tombolo_core::id::RunId;
use tombolo_core::ports::store::Journaled;

use super::below::Below;
use super::error::Fault;
use super::row::{bytes, id};
use crate::record::{Damaged, JournalRecord, JournaledAnswer, unsigned};

fn read(row: &SqliteRow) -> Result<Journaled, Fault> {
    let hash: &[u8] = row.try_get(4)?;
    let request_hash = <[u8; 32]>::try_from(hash)
        .map_err(|_| Damaged("a request's hash has not 32 bytes".to_owned()))?;
    let status: Option<u16> = row.try_get(5)?;
    let answer = match status {
        None => None,
        Some(status) => Some(JournaledAnswer {
            status,
            headers: row.try_get(6)?,
            body: Bytes::copy_from_slice(bytes(row, 7)?.unwrap_or_default()),
        }),
    };
    let record = JournalRecord {
        node: row.try_get(1)?,
        item: unsigned(row.try_get(2)?)?,
        place: unsigned(row.try_get(3)?)?,
        request_hash,
        answer,
    };
    Ok(record.into_journaled()?)
}

/// The journals of the queued runs of that list (see [`id_list`](super::row::id_list)). What cannot
/// be read fails its run only: a call that was made must not be made again for lack of its record.
pub(super) async fn of_runs(
    connection: &mut SqliteConnection,
    runs: &str,
) -> Result<Below<Journaled>, Fault> {
    let rows = sqlx::query(
        "SELECT e.run_id, e.node, e.item, e.place, e.request_hash, e.status, e.headers, e.body
         FROM json_each(?) j CROSS JOIN queue q ON q.run_id = unhex(j.value)
         CROSS JOIN journal e ON e.tenant_id = q.tenant_id AND e.run_id = q.run_id
         ORDER BY e.run_id, e.node, e.item, e.place",
    )
    .bind(runs)
    .fetch_all(connection)
    .await?;
    let mut journals = Below::new();
    for row in &rows {
        journals.entry(RunId(id(row, 0)?)).or_default().add(read(row));
    }
    Ok(journals)
}
