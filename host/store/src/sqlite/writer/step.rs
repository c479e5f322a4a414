//! Steps of a run, each replaced whole.

use rusqlite::{CachedStatement, Connection, params};
use tombolo_core::id::{RunId, TenantId};

use super::pack::Numbers;
use crate::record::{StepRecord, hash_bytes, id};
use crate::sqlite::error::Fault;

/// Writes them.
pub(super) fn upsert(
    connection: &Connection,
    run: (TenantId, RunId),
    steps: &[StepRecord],
    packs: &Numbers,
) -> Result<(), Fault> {
    if steps.is_empty() {
        return Ok(());
    }
    // Once for all of them: it is looked up by its text.
    let mut statement = connection.prepare_cached(
        "INSERT INTO step (tenant_id, run_id, node, item, state, attempt, spent, input,
           input_hash, output, output_hash, ports, error, due_at, started_at, ended_at,
           plugin, logs, child, edits, redriven_after, pack)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
           coalesce((SELECT number FROM plugin WHERE tenant_id = ?1 AND hash = ?17), ?17),
           ?18, ?19, ?20, ?21, ?22)
         ON CONFLICT (run_id, node, item) DO UPDATE SET state = excluded.state,
           attempt = excluded.attempt, spent = excluded.spent, pack = excluded.pack,
           input = excluded.input,
           input_hash = excluded.input_hash, output = excluded.output,
           output_hash = excluded.output_hash, ports = excluded.ports,
           error = excluded.error, due_at = excluded.due_at,
           started_at = excluded.started_at, ended_at = excluded.ended_at,
           plugin = excluded.plugin, logs = excluded.logs, child = excluded.child,
           edits = excluded.edits, redriven_after = excluded.redriven_after",
    )?;
    for step in steps {
        upsert_one(&mut statement, run, step, packs.of(step.pack())?)?;
    }
    Ok(())
}

fn upsert_one(
    statement: &mut CachedStatement<'_>,
    (tenant, run): (TenantId, RunId),
    step: &StepRecord,
    pack: Option<i64>,
) -> Result<(), Fault> {
    statement.execute(params![
        id(&tenant.0),
        id(&run.0),
        step.node,
        step.item,
        step.state,
        step.attempt,
        step.spent,
        step.input.text,
        hash_bytes(step.input.hash.as_ref()),
        step.output.text,
        hash_bytes(step.output.hash.as_ref()),
        step.ports,
        step.error,
        step.due_at.map(|time| time.0),
        step.started_at.map(|time| time.0),
        step.ended_at.map(|time| time.0),
        hash_bytes(step.plugin.as_ref()),
        step.logs,
        step.child.as_ref().map(|run| id(&run.0)),
        step.edits,
        step.redriven_after,
        pack,
    ])?;
    Ok(())
}
