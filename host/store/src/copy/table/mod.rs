//! The tables, in the order in which one needs the other, and where their columns come from.
//!
//! A column that a migration adds to a table is a line here.

mod catalog;
mod runs;
mod waiting;

use super::column::Column;

/// A table of the target.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name.
    pub(super) name: &'static str,
    /// Its column that says whose a row is.
    pub(super) tenant: &'static str,
    /// Where its rows come from.
    pub(super) from: From,
    /// Its columns, without the tenant's.
    pub(super) columns: &'static [Column],
    /// The column that counts its rows, if one does: new ones are counted from there.
    pub(super) counter: Option<&'static str>,
}

/// Where the rows of a table come from.
#[derive(Debug)]
pub(super) enum From {
    /// What follows FROM in the source, and how the tenant is called there.
    Rows {
        /// The tables, in the order of the rows where that matters.
        rows: &'static str,
        /// An expression.
        tenant: &'static str,
    },
    /// From the runs and events that name them: packs say nothing of tenants.
    Packs,
}

/// Rows of the table of the same name.
const fn rows(rows: &'static str) -> From {
    From::Rows { rows, tenant: "tenant_id" }
}

/// As most of them are.
const PLAIN: Table =
    Table { name: "", tenant: "tenant_id", from: rows(""), columns: &[], counter: None };

/// All of them.
pub(super) static TABLES: [Table; 26] = [
    catalog::TENANT,
    catalog::TOKEN,
    catalog::QUOTA,
    runs::PAYLOAD,
    runs::PAYLOAD_USE,
    catalog::PLUGIN,
    catalog::WORKFLOW,
    catalog::WORKFLOW_VERSION,
    catalog::CONNECTION,
    catalog::STATE,
    catalog::AUDIT,
    runs::PACK,
    runs::EVENT,
    runs::RUN,
    runs::RUN_ENDED_BADLY,
    waiting::QUEUE,
    runs::STEP,
    runs::EFFECT,
    runs::JOURNAL,
    waiting::SIGNAL,
    waiting::DEAD_LETTER,
    waiting::CONNECTION_WAIT,
    waiting::LANE,
    waiting::GATHERING,
    waiting::THROTTLE,
    waiting::JOINED,
];
