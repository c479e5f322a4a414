//! What people did: appended, never changed.

use tombolo_core::audit::AuditEntry;

use super::error::Fault;
use super::scope::TenantTx;
use super::text::text;

/// Appends the entries in the order given.
pub(super) async fn append(tx: &mut TenantTx<'_>, entries: &[AuditEntry]) -> Result<(), Fault> {
    for entry in entries {
        sqlx::query(
            "INSERT INTO audit (tenant_id, at, actor, action, subject, detail)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(tx.tenant().0)
        .bind(entry.at.0)
        .bind(text(&entry.actor.0))
        .bind(text(&entry.action))
        .bind(text(&entry.subject))
        .bind(entry.detail.to_string())
        .execute(tx.sql())
        .await?;
    }
    Ok(())
}
