//! The letter box: steps that wait for a person.

use async_trait::async_trait;
use sqlx::{QueryBuilder, Sqlite};
use tombolo_core::audit::AuditEntry;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{
    Letter, LetterBox, LetterCursor, LetterFilter, StepKey, StoreError,
};

use super::SqliteStore;
use super::ids::id_bytes;
use crate::group::{Command, Discard, Rare};
use crate::record::unsigned;
use crate::rows::{Columns, letter, letter_columns};

#[async_trait]
impl LetterBox for SqliteStore {
    async fn letters(
        &self,
        tenant: TenantId,
        filter: &LetterFilter,
        after: Option<LetterCursor>,
        limit: u32,
    ) -> Result<Vec<Letter>, StoreError> {
        let mut query = query(tenant, filter, after.as_ref());
        query.push(ORDER).push(" LIMIT ").push_bind(i64::from(limit));
        self.read_all(query.build(), letter).await
    }

    async fn discard(
        &self,
        tenant: TenantId,
        run: RunId,
        step: &StepKey,
        reason: String,
        audit: AuditEntry,
    ) -> Result<bool, StoreError> {
        let discard = Discard { tenant, run, step: step.clone(), reason, audit };
        self.writes.write(discard, |pending| Command::Rare(Box::new(Rare::Discard(pending)))).await
    }

    async fn letter_count(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "SELECT count(*) FROM dead_letter INDEXED BY dead_letter_open
             WHERE tenant_id = ? AND discarded_at IS NULL",
        )
        .bind(id_bytes(tenant.0));
        let count = self.read_one(query, |row| Ok(unsigned(row.number(0)?)?)).await?;
        Ok(count.unwrap_or_default())
    }
}

/// The order of both lists.
const ORDER: &str = " ORDER BY d.run_id DESC, d.node, d.item";

/// Reads along the index of one of the two lists, from the cursor on.
fn query(
    tenant: TenantId,
    filter: &LetterFilter,
    after: Option<&LetterCursor>,
) -> QueryBuilder<Sqlite> {
    let (index, of_list) = if filter.discarded {
        ("dead_letter_discarded", "IS NOT NULL")
    } else {
        ("dead_letter_open", "IS NULL")
    };
    let mut query = QueryBuilder::new(concat!(
        "SELECT ",
        letter_columns!("w.name"),
        " FROM dead_letter d INDEXED BY ",
    ));
    query.push(index).push(
        " CROSS JOIN workflow w ON w.tenant_id = d.tenant_id AND w.id = d.workflow_id
         WHERE d.tenant_id = ",
    );
    query.push_bind(id_bytes(tenant.0)).push(" AND d.discarded_at ").push(of_list);
    if let Some(after) = after {
        let run = id_bytes(after.run.0);
        query.push(" AND d.run_id <= ").push_bind(run.clone());
        query.push(" AND (d.run_id < ").push_bind(run);
        query.push(" OR (d.node, d.item) > (").push_bind(after.step.node.clone());
        query.push(", ").push_bind(i64::from(after.step.item)).push("))");
    }
    narrow(&mut query, filter);
    query
}

/// Adds a condition for every field that is set.
fn narrow(query: &mut QueryBuilder<Sqlite>, filter: &LetterFilter) {
    if let Some(name) = &filter.workflow {
        query.push(" AND w.name = ").push_bind(name.clone());
    }
    if let Some(run) = filter.run {
        query.push(" AND d.run_id = ").push_bind(id_bytes(run.0));
    }
    if let Some(node) = &filter.node {
        query.push(" AND d.node = ").push_bind(node.clone());
    }
    if let Some(class) = filter.class {
        query.push(" AND d.class = ").push_bind(class.name());
    }
    if let Some(code) = &filter.code {
        query.push(" AND d.code = ").push_bind(code.clone());
    }
    if let Some(since) = filter.since {
        query.push(" AND d.since >= ").push_bind(since.0);
    }
    if let Some(until) = filter.until {
        query.push(" AND d.since < ").push_bind(until.0);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::sqlite::plans::{database, explain};

    #[test]
    fn both_lists_are_read_along_their_index_from_the_cursor_on() {
        let connection = database();
        let tenant = TenantId(Uuid::from_u128(1));
        let step = StepKey { node: "a".to_owned(), item: 0 };
        let cursor = LetterCursor { run: RunId(Uuid::from_u128(9)), step };
        for (discarded, index) in [(false, "dead_letter_open"), (true, "dead_letter_discarded")] {
            for (after, bound) in
                [(None, "(tenant_id=?)"), (Some(&cursor), "(tenant_id=? AND run_id<?)")]
            {
                let filter = LetterFilter { discarded, ..LetterFilter::default() };
                let mut query = query(tenant, &filter, after);
                query.push(ORDER);
                let plan = explain(&connection, query.sql().as_str());
                let expected = format!("SEARCH d USING INDEX {index} {bound}");
                assert_eq!(plan[0], expected, "{plan:#?}");
                assert!(!plan.iter().any(|line| line.contains("B-TREE")), "{plan:#?}");
            }
        }
    }
}
