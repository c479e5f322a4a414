//! Steps of runs, each replaced whole, and the calls they made.

use std::collections::BTreeMap;

use tombolo_core::id::RunId;
use uuid::Uuid;

use super::pack::Numbered;
use crate::postgres::any;
use crate::postgres::error::Fault;
use crate::postgres::scope::TenantTx;
use crate::record::{EffectRecord, StepRecord, Text, hash_bytes};

/// A step to be written.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) run: RunId,
    pub(super) step: &'a StepRecord,
    pub(super) packs: &'a Numbered,
}

/// Writes steps.
pub(super) async fn upsert(tx: &mut TenantTx<'_>, rows: &[Row<'_>]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    // Each once, the last of them; and in order.
    let rows: Vec<Row<'_>> = rows
        .iter()
        .map(|row| ((row.run, row.step.node.as_str(), row.step.item), *row))
        .collect::<BTreeMap<_, _>>()
        .into_values()
        .collect();
    let numbers = |of: fn(&StepRecord) -> Option<i64>| -> Vec<Option<i64>> {
        rows.iter().map(|row| of(row.step)).collect()
    };
    let texts = |of: fn(&StepRecord) -> Option<&Text>| -> Vec<Option<Vec<u8>>> {
        rows.iter().map(|row| of(row.step).map(any::text)).collect()
    };
    let hashes = |of: fn(&StepRecord) -> Option<&[u8]>| -> Vec<Option<&[u8]>> {
        rows.iter().map(|row| of(row.step)).collect()
    };
    let packs = rows
        .iter()
        .map(|row| row.packs.of(row.step.pack()))
        .collect::<Result<Vec<Option<i64>>, Fault>>()?;
    sqlx::query(
        "INSERT INTO step (tenant_id, run_id, node, item, state, attempt, spent, pack, input,
           input_hash, output, output_hash, ports, error, due_at, started_at, ended_at, plugin,
           logs, child, edits, redriven_after)
         SELECT $1, u.* FROM UNNEST($2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::bigint[],
           $7::bigint[], $8::bigint[], $9::bytea[], $10::bytea[], $11::bytea[], $12::bytea[],
           $13::bytea[], $14::bytea[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bytea[],
           $19::bytea[], $20::uuid[], $21::bigint[], $22::bigint[]) AS u
         ON CONFLICT (tenant_id, run_id, node, item) DO UPDATE SET state = excluded.state,
           attempt = excluded.attempt, spent = excluded.spent, pack = excluded.pack,
           input = excluded.input, input_hash = excluded.input_hash, output = excluded.output,
           output_hash = excluded.output_hash, ports = excluded.ports, error = excluded.error,
           due_at = excluded.due_at, started_at = excluded.started_at,
           ended_at = excluded.ended_at, plugin = excluded.plugin, logs = excluded.logs,
           child = excluded.child, edits = excluded.edits,
           redriven_after = excluded.redriven_after",
    )
    .bind(tx.tenant().0)
    .bind(rows.iter().map(|row| row.run.0).collect::<Vec<Uuid>>())
    .bind(rows.iter().map(|row| row.step.node.as_str()).collect::<Vec<&str>>())
    .bind(numbers(|step| Some(step.item.into())))
    .bind(rows.iter().map(|row| row.step.state).collect::<Vec<&str>>())
    .bind(numbers(|step| Some(step.attempt.into())))
    .bind(numbers(|step| Some(step.spent.into())))
    .bind(packs)
    .bind(texts(|step| step.input.text.as_ref()))
    .bind(hashes(|step| hash_bytes(step.input.hash.as_ref())))
    .bind(texts(|step| step.output.text.as_ref()))
    .bind(hashes(|step| hash_bytes(step.output.hash.as_ref())))
    .bind(texts(|step| step.ports.as_ref()))
    .bind(texts(|step| step.error.as_ref()))
    .bind(numbers(|step| step.due_at.map(|time| time.0)))
    .bind(numbers(|step| step.started_at.map(|time| time.0)))
    .bind(numbers(|step| step.ended_at.map(|time| time.0)))
    .bind(hashes(|step| hash_bytes(step.plugin.as_ref())))
    .bind(texts(|step| step.logs.as_ref()))
    .bind(rows.iter().map(|row| row.step.child.map(|run| run.0)).collect::<Vec<Option<Uuid>>>())
    .bind(numbers(|step| Some(step.edits.into())))
    .bind(numbers(|step| Some(step.redriven_after.into())))
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// A call to be written.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) run: RunId,
    pub(super) effect: &'a EffectRecord,
    pub(super) packs: &'a Numbered,
}

/// Writes calls.
pub(super) async fn upsert_calls(tx: &mut TenantTx<'_>, rows: &[Call<'_>]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    let key = |row: &Call<'_>| {
        let EffectRecord { item, attempt, sequence, .. } = *row.effect;
        (row.run, row.effect.node.clone(), item, attempt, sequence)
    };
    let rows: Vec<Call<'_>> =
        rows.iter().map(|row| (key(row), *row)).collect::<BTreeMap<_, _>>().into_values().collect();
    let numbers = |of: fn(&EffectRecord) -> u32| -> Vec<i64> {
        rows.iter().map(|row| of(row.effect).into()).collect()
    };
    let packs = rows
        .iter()
        .map(|row| row.packs.of(row.effect.record.pack()))
        .collect::<Result<Vec<Option<i64>>, Fault>>()?;
    sqlx::query(
        "INSERT INTO effect (tenant_id, run_id, node, item, attempt, sequence, pack, record)
         SELECT $1, u.* FROM UNNEST($2::uuid[], $3::text[], $4::bigint[], $5::bigint[],
           $6::bigint[], $7::bigint[], $8::bytea[]) AS u
         ON CONFLICT (tenant_id, run_id, node, item, attempt, sequence)
           DO UPDATE SET pack = excluded.pack, record = excluded.record",
    )
    .bind(tx.tenant().0)
    .bind(rows.iter().map(|row| row.run.0).collect::<Vec<Uuid>>())
    .bind(rows.iter().map(|row| row.effect.node.as_str()).collect::<Vec<&str>>())
    .bind(numbers(|effect| effect.item))
    .bind(numbers(|effect| effect.attempt))
    .bind(numbers(|effect| effect.sequence))
    .bind(packs)
    .bind(rows.iter().map(|row| any::text(&row.effect.record)).collect::<Vec<Vec<u8>>>())
    .execute(tx.sql())
    .await?;
    Ok(())
}
