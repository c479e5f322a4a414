//! Pauses of connections: nobody calls through one whose credentials were refused.

use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;

use super::error::Fault;
use super::scope::TenantTx;
use super::text::text;
use super::{audit, queue};
use crate::record::SettleItem;

/// Pauses connections. One that is paused keeps the first time and reason.
pub(super) async fn set(tx: &mut TenantTx<'_>, item: &SettleItem) -> Result<(), Fault> {
    for pause in &item.pauses {
        sqlx::query(
            "UPDATE connection SET paused_at = $3, paused_reason = $4
             WHERE tenant_id = $1 AND name = $2 AND paused_at IS NULL",
        )
        .bind(tx.tenant().0)
        .bind(&pause.connection)
        .bind(item.now.0)
        .bind(text(&pause.reason))
        .execute(tx.sql())
        .await?;
    }
    Ok(())
}

/// Ends a pause, and makes the runs due that wait for it. None if there is no such connection.
pub(super) async fn end(
    tx: &mut TenantTx<'_>,
    name: &str,
    now: Timestamp,
    entry: &AuditEntry,
) -> Result<Option<u64>, Fault> {
    let found = sqlx::query(
        "UPDATE connection SET paused_at = NULL, paused_reason = NULL
         WHERE tenant_id = $1 AND name = $2",
    )
    .bind(tx.tenant().0)
    .bind(text(name))
    .execute(tx.sql())
    .await?;
    if found.rows_affected() == 0 {
        return Ok(None);
    }
    audit::append(tx, [entry]).await?;
    queue::wake_waiting_for(tx, name, now).await.map(Some)
}
