//! Fetching the packs that rows name.

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::error::Fault;
use crate::rows::{Packs, numbers};

/// The packs that these rows name in these columns, each once.
pub(super) async fn of(
    connection: &mut SqliteConnection,
    rows: &[SqliteRow],
    columns: &[usize],
) -> Result<Packs, Fault> {
    let numbers = numbers(rows, columns)?;
    if numbers.is_empty() {
        return Ok(Packs::default());
    }
    let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
    let rows = sqlx::query(
        "SELECT id, encoding, bytes FROM pack WHERE id IN (SELECT value FROM json_each(?))",
    )
    .bind(format!("[{}]", numbers.join(",")))
    .fetch_all(connection)
    .await?;
    Ok(Packs::read(&rows)?)
}
