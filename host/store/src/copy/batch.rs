//! Rows on their way: of one table, by tenant, and no more than one transaction brings.

use std::collections::BTreeMap;

use rusqlite::Row;
use tombolo_core::id::TenantId;

use super::column::Values;
use super::table::Table;
use crate::sqlite::error::Fault;

/// Most rows of one transaction.
const BATCH_ROWS: usize = 2_000;

/// Bytes after which no further row is added. A row is never split, so that one long component is a
/// batch, too.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Rows of one table.
#[derive(Debug)]
pub(super) struct Batch {
    /// Which one.
    pub(super) table: &'static Table,
    /// The values of its columns, in their order.
    pub(super) tenants: BTreeMap<TenantId, Vec<Values>>,
    /// How many.
    pub(super) rows: usize,
    bytes: usize,
}

impl Batch {
    /// An empty one.
    pub(super) fn new(table: &'static Table) -> Self {
        Self { table, tenants: BTreeMap::new(), rows: 0, bytes: 0 }
    }

    /// True if it takes no more.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Adds the row whose columns begin at this position.
    pub(super) fn add(
        &mut self,
        tenant: TenantId,
        row: &Row<'_>,
        first: usize,
    ) -> Result<(), Fault> {
        let columns = self.table.columns;
        let values = self
            .tenants
            .entry(tenant)
            .or_insert_with(|| columns.iter().map(|column| Values::new(column.kind)).collect());
        for ((column, values), at) in columns.iter().zip(values).zip(first..) {
            self.bytes += values.add(column.kind, tenant, (row, at))?;
        }
        self.rows += 1;
        Ok(())
    }
}
