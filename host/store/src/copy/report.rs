//! What is told of a copy: while it is made, and of what came of it.

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyProgress {
    /// So many rows of a table are durable. It goes on.
    Rows {
        /// Which one.
        table: &'static str,
        /// So many.
        rows: u64,
    },
    /// A table is done.
    Table {
        /// Which one.
        table: &'static str,
        /// All of its rows.
        rows: u64,
    },
    /// Everything is there. Now it is compared.
    Comparing,
}

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopiedTable {
    /// Which one.
    pub table: &'static str,
    /// Rows that were read from the file and written.
    pub rows: u64,
    /// Rows that were counted in PostgreSQL afterwards.
    pub found: u64,
}

/// Runs and events that were read from both databases, with all that belongs to them, and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compared {
    /// Runs that were.
    pub runs: u64,
    /// Runs that there are.
    pub all_runs: u64,
    /// Events that were.
    pub events: u64,
    /// Events that there are.
    pub all_events: u64,
}

/// What came of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Each table.
    pub tables: Vec<CopiedTable>,
    /// How much was compared.
    pub compared: Compared,
    /// Ids of runs and events that do not read the same; of many, the first ones.
    pub different: Vec<String>,
}

impl Copied {
    /// True if nothing differs: then the database may be used.
    pub fn is_same(&self) -> bool {
        self.different.is_empty() && self.tables.iter().all(|table| table.rows == table.found)
    }
}
