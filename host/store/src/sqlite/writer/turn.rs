//! Whose turn it is: which of the due runs a claim takes, by their priorities.

use rusqlite::{Connection, params};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::Claim;
use uuid::Uuid;

use crate::sqlite::error::Fault;
use crate::sqlite::ids::id_list;
use crate::turn::{Due, choose};

/// Which runs a claim takes.
pub(super) enum Turn {
    /// Those of normal priority: no other is due.
    Usual,
    /// These.
    These(Vec<RunId>),
}

/// Looks at what is due.
pub(super) fn pick(connection: &Connection, claim: &Claim, limit: usize) -> Result<Turn, Fault> {
    let usual = connection
        .prepare_cached(
            "SELECT NOT EXISTS (
                  SELECT 1 FROM queue WHERE priority = 0 AND available_at <= ?1 AND claims < 2)
                AND NOT EXISTS (
                  SELECT 1 FROM queue WHERE priority = 2 AND available_at <= ?1 AND claims < 2)",
        )?
        .query_row([claim.now.0], |row| row.get(0))?;
    if usual {
        return Ok(Turn::Usual);
    }
    let mut classes = Vec::with_capacity(3);
    for priority in 0..3 {
        classes.push(due(connection, claim, (priority, limit))?);
    }
    Ok(Turn::These(choose(classes, limit)))
}

/// The longest due of a priority, so many at most, without suspects.
fn due(
    connection: &Connection,
    claim: &Claim,
    (priority, limit): (i64, usize),
) -> Result<Vec<Due>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT available_at, run_id FROM queue WHERE priority = ?1 AND available_at <= ?2
           AND claims < 2 AND run_id NOT IN (SELECT unhex(value) FROM json_each(?4))
         ORDER BY available_at, run_id LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let held = id_list(claim.held.iter().map(|run| run.0));
    let rows = statement.query_map(params![priority, claim.now.0, limit, held], |row| {
        let (since, run) = (Timestamp(row.get(0)?), RunId(Uuid::from_bytes(row.get(1)?)));
        Ok(Due { since, run })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
