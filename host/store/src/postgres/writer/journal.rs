//! Calls of earlier attempts.

use crate::postgres::error::Fault;
use crate::postgres::scope::TenantTx;
use crate::postgres::text::text;
use crate::record::{FAILED, JournalRecord, SettleItem};

/// Deletes the journals of steps that have no other attempt, or whose calls are to be made anew, and
/// writes the calls. What went well at a place stays: it is what happened first.
pub(super) async fn apply(tx: &mut TenantTx<'_>, item: &SettleItem) -> Result<(), Fault> {
    for step in &item.forgets {
        sqlx::query(
            "DELETE FROM journal WHERE tenant_id = $1 AND run_id = $2 AND node = $3 AND item = $4",
        )
        .bind(tx.tenant().0)
        .bind(item.lease.run.0)
        .bind(&step.node)
        .bind(i64::from(step.item))
        .execute(tx.sql())
        .await?;
    }
    for entry in &item.journal {
        insert(tx, item, entry).await?;
    }
    Ok(())
}

async fn insert(
    tx: &mut TenantTx<'_>,
    item: &SettleItem,
    entry: &JournalRecord,
) -> Result<(), Fault> {
    let answer = entry.answer.as_ref();
    sqlx::query(
        "INSERT INTO journal (tenant_id, run_id, node, item, place, request_hash, status, headers,
           body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (tenant_id, run_id, node, item, place) DO UPDATE SET
           request_hash = excluded.request_hash, status = excluded.status,
           headers = excluded.headers, body = excluded.body
         WHERE journal.status = $10",
    )
    .bind(tx.tenant().0)
    .bind(item.lease.run.0)
    .bind(&entry.node)
    .bind(i64::from(entry.item))
    .bind(i64::from(entry.place))
    .bind(&entry.request_hash[..])
    .bind(answer.map(|answer| i64::from(answer.status)))
    .bind(answer.map(|answer| text(&answer.headers).into_owned()))
    .bind(answer.map(|answer| answer.body.to_vec()))
    .bind(i64::from(FAILED))
    .execute(tx.sql())
    .await?;
    Ok(())
}
