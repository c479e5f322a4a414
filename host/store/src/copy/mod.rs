//! Copying a SQLite file to an empty PostgreSQL database: table by table, in transactions of bounded
//! size, and compared at the end. Never writes to the file, and never to a database that somebody uses.
//!
//! `source` reads the file and `target` writes; `table` says which columns there are, and `column` what
//! becomes of their values. See docs/adr/0026-a-copy-is-marked-until-it-is-whole.md.

mod batch;
mod column;
mod compare;
mod empty;
mod error;
mod packs;
mod report;
mod sample;
mod source;
mod table;
mod target;

#[cfg(test)]
mod tests;

use std::path::Path;

use tombolo_core::ports::store::StoreError;

use self::compare::Both;
pub use self::error::CopyError;
pub use self::report::{Compared, Copied, CopiedTable, CopyProgress};
use self::source::{Part, Source};
use self::target::Target;
use crate::PostgresSettings;

/// What the target may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Nothing.
    Empty,
    /// Nothing, or a part of a copy that was cut off: that is deleted.
    Again,
}

/// Copies everything from the file `from` to the database `to`, tells how far it is after each
/// transaction, and compares what is there with the file.
///
/// Nobody else may have the file open, and no server may be started on the database meanwhile. As long
/// as not all of it is there, or something differs, [`PostgresStore::open`](crate::PostgresStore::open)
/// refuses the database. Dropping the future is safe, and cuts the copy off.
///
/// # Errors
/// If the file or the database is not what it has to be, or one of them fails.
pub async fn copy(
    from: &Path,
    to: PostgresSettings,
    begin: Begin,
    progress: impl FnMut(CopyProgress),
) -> Result<Copied, CopyError> {
    let source = Source::open(from).await?;
    let copied = match Target::begin(to, begin).await {
        Ok(target) => write(&source, target, progress).await,
        Err(error) => Err(error),
    };
    source.store.close().await;
    copied
}

async fn write(
    source: &Source,
    mut target: Target,
    mut progress: impl FnMut(CopyProgress),
) -> Result<Copied, CopyError> {
    let mut parts = source.read();
    let mut tables = Vec::new();
    let mut rows = 0;
    let sample = loop {
        // The thread ends with a sample or an error.
        let ended = || StoreError::Database("reading the file ended badly".to_owned());
        match parts.recv().await.ok_or_else(ended)?? {
            Part::Rows(batch) => {
                let table = batch.table.name;
                let failed = |error: StoreError| CopyError::Table { table, error };
                target.write(&batch).await.map_err(|fault| failed(fault.into()))?;
                rows += batch.rows as u64;
                progress(CopyProgress::Rows { table, rows });
            }
            Part::End { table, last } => {
                target.count_on(table, last).await.map_err(StoreError::from)?;
                progress(CopyProgress::Table { table: table.name, rows });
                tables.push(CopiedTable { table: table.name, rows, found: 0 });
                rows = 0;
            }
            Part::Sample(sample) => break sample,
        }
    };
    target.take_over().await?;
    progress(CopyProgress::Comparing);
    let counts = target.counts().await.map_err(StoreError::from)?;
    for table in &mut tables {
        table.found = counts.get(table.table).copied().unwrap_or(0);
    }
    let both = Both { here: &source.store, there: &target.store };
    let compared = Compared {
        runs: sample.runs.len() as u64,
        all_runs: sample.all_runs,
        events: sample.events.len() as u64,
        all_events: sample.all_events,
    };
    let copied = Copied { tables, compared, different: compare::all(both, &sample).await? };
    if copied.is_same() {
        target.finish().await.map_err(StoreError::from)?;
    }
    Ok(copied)
}
