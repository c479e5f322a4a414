//! The letter box: steps that wait for a person.

use super::{PostgresStore, put};
use async_trait::async_trait;
use sqlx::{Postgres, QueryBuilder, Row};
use tombolo_core::audit::AuditEntry;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{Letter, LetterCursor, LetterFilter};
use tombolo_core::ports::store::{LetterBox, StepKey, StoreError};

use super::error::Fault;
use super::retried::write_tenant;
use super::scope::TenantTx;
use super::text::text;
use crate::record::unsigned;
use crate::rows::{self, letter_columns};

/// Those of the newest runs first, at most `limit`.
pub(super) async fn letters(
    tx: &mut TenantTx<'_>,
    filter: &LetterFilter,
    after: Option<&LetterCursor>,
    limit: u32,
) -> Result<Vec<Letter>, Fault> {
    let mut query = query(tx.tenant(), filter, after);
    query.push(" ORDER BY d.run_id DESC, d.node, d.item LIMIT ").push_bind(i64::from(limit));
    let rows = query.build().fetch_all(tx.sql()).await?;
    rows.iter().map(|row| Ok(rows::letter(row)?)).collect()
}

/// How many wait for a person.
pub(super) async fn letter_count(tx: &mut TenantTx<'_>) -> Result<u64, Fault> {
    let row = sqlx::query(
        "SELECT count(*) FROM dead_letter WHERE tenant_id = $1 AND discarded_at IS NULL",
    )
    .bind(tx.tenant().0)
    .fetch_one(tx.sql())
    .await?;
    Ok(unsigned(row.try_get(0)?)?)
}

/// Reads along the index of one of the two lists, from the cursor on. Beside no other table, which
/// PostgreSQL might begin with.
fn query(
    tenant: TenantId,
    filter: &LetterFilter,
    after: Option<&LetterCursor>,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(concat!(
        "SELECT ",
        letter_columns!(
            "(SELECT w.name FROM workflow w
              WHERE w.tenant_id = d.tenant_id AND w.id = d.workflow_id)"
        ),
        " FROM dead_letter d WHERE d.tenant_id = ",
    ));
    let of_list = if filter.discarded { "IS NOT NULL" } else { "IS NULL" };
    query.push_bind(tenant.0).push(" AND d.discarded_at ").push(of_list);
    if let Some(after) = after {
        query.push(" AND d.run_id <= ").push_bind(after.run.0);
        query.push(" AND (d.run_id < ").push_bind(after.run.0);
        query.push(" OR (d.node, d.item) > (").push_bind(text(&after.step.node).into_owned());
        query.push(", ").push_bind(i64::from(after.step.item)).push("))");
    }
    narrow(&mut query, tenant, filter);
    query
}

/// Adds a condition for every field that is set.
fn narrow(query: &mut QueryBuilder<Postgres>, tenant: TenantId, filter: &LetterFilter) {
    if let Some(name) = &filter.workflow {
        query
            .push(" AND d.workflow_id = (SELECT id FROM workflow WHERE tenant_id = ")
            .push_bind(tenant.0)
            .push(" AND name = ")
            .push_bind(text(name).into_owned())
            .push(")");
    }
    if let Some(run) = filter.run {
        query.push(" AND d.run_id = ").push_bind(run.0);
    }
    if let Some(node) = &filter.node {
        query.push(" AND d.node = ").push_bind(text(node).into_owned());
    }
    if let Some(class) = filter.class {
        query.push(" AND d.class = ").push_bind(class.name());
    }
    if let Some(code) = &filter.code {
        query.push(" AND d.code = ").push_bind(text(code).into_owned());
    }
    if let Some(since) = filter.since {
        query.push(" AND d.since >= ").push_bind(since.0);
    }
    if let Some(until) = filter.until {
        query.push(" AND d.since < ").push_bind(until.0);
    }
}

#[async_trait]
impl LetterBox for PostgresStore {
    async fn letters(
        &self,
        tenant: TenantId,
        filter: &LetterFilter,
        after: Option<LetterCursor>,
        limit: u32,
    ) -> Result<Vec<Letter>, StoreError> {
        self.read(tenant, async |tx| letters(tx, filter, after.as_ref(), limit).await).await
    }

    async fn discard(
        &self,
        tenant: TenantId,
        run: RunId,
        step: &StepKey,
        reason: String,
        audit: AuditEntry,
    ) -> Result<bool, StoreError> {
        write_tenant!(self, tenant, |tx| put::discarded(tx, (run, step), &reason, &audit))
    }

    async fn letter_count(&self, tenant: TenantId) -> Result<u64, StoreError> {
        self.read(tenant, async |tx| letter_count(tx).await).await
    }
}
