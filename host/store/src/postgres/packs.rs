//! Fetching the packs that rows name.

use std::collections::BTreeSet;

use super::error::Fault;
use super::scope::TenantTx;
use crate::rows::Packs;

/// The packs of these numbers.
pub(super) async fn of(tx: &mut TenantTx<'_>, numbers: BTreeSet<i64>) -> Result<Packs, Fault> {
    if numbers.is_empty() {
        return Ok(Packs::default());
    }
    let numbers: Vec<i64> = numbers.into_iter().collect();
    let rows =
        sqlx::query("SELECT id, encoding, bytes FROM pack WHERE tenant_id = $1 AND id = ANY($2)")
            .bind(tx.tenant().0)
            .bind(numbers)
            .fetch_all(tx.sql())
            .await?;
    Ok(Packs::read(&rows)?)
}
