//! Dead letters that come and go with a settle.

use crate::postgres::error::Fault;
use crate::postgres::scope::TenantTx;
use crate::postgres::text::text;
use crate::record::{LetterRecord, SettleItem};

/// Writes them.
pub(super) async fn apply(tx: &mut TenantTx<'_>, item: &SettleItem) -> Result<(), Fault> {
    for letter in &item.letters.opened {
        open(tx, item, letter).await?;
    }
    for step in &item.letters.closed {
        sqlx::query(
            "DELETE FROM dead_letter
             WHERE tenant_id = $1 AND run_id = $2 AND node = $3 AND item = $4",
        )
        .bind(tx.tenant().0)
        .bind(item.lease.run.0)
        .bind(&step.node)
        .bind(i64::from(step.item))
        .execute(tx.sql())
        .await?;
    }
    Ok(())
}

/// In place of one that is there, given up or not.
async fn open(
    tx: &mut TenantTx<'_>,
    item: &SettleItem,
    letter: &LetterRecord,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO dead_letter (tenant_id, run_id, node, item, workflow_id, state, class, code,
           error, since)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (tenant_id, run_id, node, item) DO UPDATE SET
           workflow_id = excluded.workflow_id, state = excluded.state, class = excluded.class,
           code = excluded.code, error = excluded.error, since = excluded.since,
           discarded_at = NULL, discard_reason = NULL",
    )
    .bind(tx.tenant().0)
    .bind(item.lease.run.0)
    .bind(&letter.step.node)
    .bind(i64::from(letter.step.item))
    .bind(letter.workflow.0)
    .bind(letter.state)
    .bind(letter.class)
    .bind(text(&letter.code))
    .bind(text(&letter.error))
    .bind(item.now.0)
    .execute(tx.sql())
    .await?;
    Ok(())
}
