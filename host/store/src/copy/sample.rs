//! Which runs and events are compared: all of a small file, of a large one as many as take seconds,
//! spread over all of them.

use rusqlite::Connection;
use tombolo_core::id::{EventId, RunId, TenantId};

use super::source::ids;
use crate::sqlite::error::Fault;

/// As many runs, or events, are compared one by one.
const ALL_UP_TO: u64 = 10_000;

/// Of more, about so many are.
const OF_MORE: u64 = 2_000;

/// What is compared.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) runs: Vec<(TenantId, RunId)>,
    pub(super) all_runs: u64,
    pub(super) events: Vec<(TenantId, EventId)>,
    pub(super) all_events: u64,
}

impl Sample {
    /// Chooses in the order of keys.
    pub(super) fn of(snapshot: &Connection) -> Result<Self, Fault> {
        let (all_runs, runs) = choose(snapshot, "run")?;
        let (all_events, events) = choose(snapshot, "event")?;
        Ok(Self {
            runs: runs.into_iter().map(|(tenant, id)| (tenant, RunId(id))).collect(),
            all_runs,
            events: events.into_iter().map(|(tenant, id)| (tenant, EventId(id))).collect(),
            all_events,
        })
    }
}

fn choose(snapshot: &Connection, table: &str) -> Result<(u64, Vec<(TenantId, uuid::Uuid)>), Fault> {
    let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let all = snapshot.query_row(&format!("SELECT count(*) FROM {table}"), [], count)?;
    let all = all.unsigned_abs();
    let step = if all <= ALL_UP_TO { 1 } else { all / OF_MORE };
    let mut keys =
        snapshot.prepare(&format!("SELECT tenant_id, id FROM {table} ORDER BY tenant_id, id"))?;
    Ok((all, ids(&mut keys, usize::try_from(step).unwrap_or(usize::MAX))?))
}
