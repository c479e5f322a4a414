//! The wish to end a run.

use sqlx::SqliteConnection;
use tombolo_core::ports::store::CancelRequest;

use super::error::Fault;
use super::row::id_bytes;
use crate::group::Cancel;
use crate::record::cancel_state;

/// Puts the wish on record, and makes the run due at once unless somebody holds it.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    cancel: &Cancel,
) -> Result<CancelRequest, Fault> {
    let (tenant, run) = (cancel.tenant.0, cancel.run.0);
    let state: Option<String> =
        sqlx::query_scalar("SELECT state FROM run WHERE tenant_id = ? AND id = ?")
            .bind(id_bytes(tenant))
            .bind(id_bytes(run))
            .fetch_optional(&mut *connection)
            .await?;
    let met = cancel_state(state.as_deref())?;
    if met != CancelRequest::Requested {
        return Ok(met);
    }
    sqlx::query("UPDATE run SET cancel_requested = 1 WHERE tenant_id = ? AND id = ?")
        .bind(id_bytes(tenant))
        .bind(id_bytes(run))
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE queue SET available_at = min(available_at, ?)
         WHERE run_id = ? AND lease_owner IS NULL",
    )
    .bind(cancel.now.0)
    .bind(id_bytes(run))
    .execute(connection)
    .await?;
    Ok(met)
}
