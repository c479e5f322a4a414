//! A store that is full of ended runs: copies of the runs of a measurement, each with ids of its own,
//! written into the file of a server that is down.

use std::path::Path;

use anyhow::{Context, ensure};
use rusqlite::{Connection, params};

/// Runs copied in one transaction.
const BATCH: u64 = 20_000;

/// Tables with rows of a run, and the columns that name the run and its event.
const TABLES: [(&str, &str, Option<&str>); 5] = [
    ("run", "id", Some("event_id")),
    ("step", "run_id", None),
    ("effect", "run_id", None),
    ("event", "id", None),
    ("dedupe", "event_id", None),
];

/// The packs of the run `?1` and of its event, each with its place among them, and the first number
/// that is free.
const PACKS: &str = "
    CREATE TEMP TABLE old_pack AS
      WITH RECURSIVE old(id) AS (
        SELECT pack FROM run WHERE id = ?1
        UNION ALL SELECT e.pack FROM run r JOIN event e ON e.id = r.event_id WHERE r.id = ?1
        UNION ALL SELECT p.before FROM old JOIN pack p ON p.id = old.id)
      SELECT id, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS count,
        (SELECT max(id) + 1 FROM pack) AS free
      FROM old WHERE id IS NOT NULL";

/// Copies the newest ended run of the file so many times, and gives the bytes that each took.
///
/// # Errors
/// If there is no ended run, or the file cannot be written.
pub fn fill(data: &Path, runs: u64) -> anyhow::Result<f64> {
    let file = data.join("tombolo.db");
    let before = std::fs::metadata(&file)?.len();
    let connection = Connection::open(&file)?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF")?;
    let (run, event): (Vec<u8>, Vec<u8>) = connection
        .query_row(
            "SELECT id, event_id FROM run WHERE state = 'succeeded' ORDER BY id DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .context("no run has ended that could be copied")?;
    connection.execute(PACKS, [&run])?;
    let mut done = 0;
    while done < runs {
        let count = BATCH.min(runs - done);
        connection.execute_batch("BEGIN")?;
        copy_packs(&connection, done, count)?;
        for (table, key, other) in TABLES {
            copy(&connection, table, (key, other), (&run, &event), done, count)?;
        }
        connection.execute_batch("COMMIT")?;
        done += count;
    }
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); ANALYZE")?;
    let there: i64 = connection.query_row("SELECT count(*) FROM run", [], |row| row.get(0))?;
    ensure!(there > runs.cast_signed(), "{there} runs, and {runs} were copied");
    drop(connection);
    let after = std::fs::metadata(&file)?.len();
    Ok(after.saturating_sub(before) as f64 / runs.max(1) as f64)
}

/// Copies the packs, in the order in which they were written, each with a number of its own.
fn copy_packs(connection: &Connection, from: u64, count: u64) -> anyhow::Result<()> {
    let sql = format!(
        "WITH RECURSIVE n(value) AS (SELECT ?1 UNION ALL SELECT value + 1 FROM n WHERE value + 1 < ?2)
         INSERT INTO pack (id, before, encoding, bytes)
         SELECT {}, {}, t.encoding, t.bytes FROM n CROSS JOIN old_pack o JOIN pack t ON t.id = o.id
         ORDER BY n.value, o.place",
        new_pack("t.id"),
        new_pack("t.before"),
    );
    connection.execute(&sql, params![from.cast_signed(), (from + count).cast_signed()])?;
    Ok(())
}

/// The number of a copied pack; NULL for none.
fn new_pack(old: &str) -> String {
    format!("(SELECT free + n.value * count + place FROM old_pack WHERE id = {old})")
}

/// Copies the rows of one run. The last eight bytes of the new ids are a number of their own: older
/// than every id of a server, as the first bytes are zero.
fn copy(
    connection: &Connection,
    table: &str,
    (key, other): (&str, Option<&str>),
    (run, event): (&[u8], &[u8]),
    from: u64,
    count: u64,
) -> anyhow::Result<()> {
    let columns: Vec<String> = connection
        .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let new_id = "unhex(printf('%032x', n.value + 1))";
    let values = columns.iter().map(|column| match column.as_str() {
        name if name == key || Some(name) == other => new_id.to_owned(),
        "run_ids" => new_id.to_owned(),
        "dedupe_key" => "CASE typeof(t.dedupe_key) WHEN 'blob' THEN randomblob(32)
            ELSE printf('copy-%d', n.value) END"
            .to_owned(),
        "hash" => "randomblob(16)".to_owned(),
        "pack" | "output_pack" => new_pack(&format!("t.{column}")),
        name => format!("t.{name}"),
    });
    let values: Vec<String> = values.collect();
    let whose = if matches!(table, "event" | "dedupe") { event } else { run };
    let sql = format!(
        "WITH RECURSIVE n(value) AS (SELECT ?1 UNION ALL SELECT value + 1 FROM n WHERE value + 1 < ?2),
           t AS MATERIALIZED (SELECT * FROM {table} WHERE {key} = ?3)
         INSERT INTO {table} ({}) SELECT {} FROM n CROSS JOIN t",
        columns.join(", "),
        values.join(", ")
    );
    connection.execute(&sql, params![from.cast_signed(), (from + count).cast_signed(), whose])?;
    Ok(())
}
