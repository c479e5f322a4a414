//! What people did: appended to the chain of their tenant, never changed; and read.

use async_trait::async_trait;
use tombolo_core::audit::{AuditEntry, AuditHash, Head, Stored};
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{AuditTrail, StoreError};

use super::PostgresStore;
use super::error::Fault;
use super::scope::TenantTx;
use crate::record::{AuditRow, audit_head};
use crate::rows::{audit_after, audit_columns, audit_end, audit_leaf, audit_stored};

/// Appends the entries in the order given.
pub(super) async fn append<'a>(
    tx: &mut TenantTx<'_>,
    entries: impl IntoIterator<Item = &'a AuditEntry>,
) -> Result<(), Fault> {
    let mut end = None;
    for entry in entries {
        let head = match end {
            Some(head) => head,
            None => lock_head(tx).await?,
        };
        let behind = AuditRow::behind(head, tx.tenant(), entry.clone());
        let (row, head) = behind.map_err(|refused| Fault::Refused(refused.to_string()))?;
        insert(tx, &row).await?;
        end = Some(head);
    }
    Ok(())
}

/// The end of the record; nobody else appends until this transaction is done.
async fn lock_head(tx: &mut TenantTx<'_>) -> Result<Head, Fault> {
    for _ in 0..2 {
        let head: Option<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT seq, hash FROM audit_head WHERE tenant_id = $1 FOR UPDATE")
                .bind(tx.tenant().0)
                .fetch_optional(tx.sql())
                .await?;
        if let Some((seq, hash)) = head {
            return Ok(audit_head(seq, &hash)?);
        }
        // The first entry of this tenant. Whoever else makes the row at the same time waits here.
        sqlx::query(
            "INSERT INTO audit_head (tenant_id, seq, hash) VALUES ($1, 0, $2) ON CONFLICT DO NOTHING",
        )
        .bind(tx.tenant().0)
        .bind(&Head::EMPTY.hash.0[..])
        .execute(tx.sql())
        .await?;
    }
    Err(Fault::Again)
}

/// The head follows by a trigger.
async fn insert(tx: &mut TenantTx<'_>, row: &AuditRow) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO audit (tenant_id, seq, prev_hash, hash, at, actor, action, subject, detail,
           correlation_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(tx.tenant().0)
    .bind(row.seq)
    .bind(&row.prev)
    .bind(&row.hash)
    .bind(row.at)
    .bind(&row.actor)
    .bind(&row.action)
    .bind(&row.subject)
    .bind(&row.detail)
    .bind(&row.correlation_id)
    .execute(tx.sql())
    .await?;
    Ok(())
}

#[async_trait]
impl AuditTrail for PostgresStore {
    async fn audit_heads(&self) -> Result<Vec<(TenantId, Head)>, StoreError> {
        self.read_as_host(async |tx| {
            let query =
                "SELECT tenant_id, seq, hash FROM audit_head WHERE seq > 0 ORDER BY tenant_id";
            let rows = sqlx::query(query).fetch_all(tx.sql()).await?;
            Ok(rows.iter().map(audit_end).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn audit_head(&self, tenant: TenantId) -> Result<Option<Head>, StoreError> {
        self.read(tenant, async |tx| {
            let query = "SELECT tenant_id, seq, hash FROM audit_head WHERE tenant_id = $1";
            let row = sqlx::query(query).bind(tx.tenant().0).fetch_optional(tx.sql()).await?;
            Ok(row.as_ref().map(audit_end).transpose()?.map(|(_, head)| head))
        })
        .await
    }

    async fn audit_trail(
        &self,
        tenant: TenantId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Stored>, StoreError> {
        self.read(tenant, async |tx| {
            let rows = sqlx::query(concat!(
                "SELECT ",
                audit_columns!(),
                " FROM audit WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT $3"
            ))
            .bind(tx.tenant().0)
            .bind(audit_after(after))
            .bind(i64::from(limit))
            .fetch_all(tx.sql())
            .await?;
            Ok(rows.iter().map(|row| audit_stored(row, tenant)).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn audit_leaves(
        &self,
        tenant: TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, AuditHash)>, StoreError> {
        self.read(tenant, async |tx| {
            let rows = sqlx::query(
                "SELECT seq, hash FROM audit WHERE tenant_id = $1 AND seq > $2
                 ORDER BY seq LIMIT $3",
            )
            .bind(tx.tenant().0)
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .fetch_all(tx.sql())
            .await?;
            Ok(rows.iter().map(audit_leaf).collect::<Result<_, _>>()?)
        })
        .await
    }
}
