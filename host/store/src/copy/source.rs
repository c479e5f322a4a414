//! The file: read on a thread of its own, all of it as it is at one moment, while what was read before
//! is written.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Statement};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::StoreError;
use uuid::Uuid;

use super::batch::Batch;
use super::column::id;
use super::error::CopyError;
use super::packs;
use super::sample::Sample;
use super::table::{From, TABLES, Table};
use crate::record::Damaged;
use crate::sqlite::error::Fault;
use crate::sqlite::open::schema;
use crate::{SqliteSettings, SqliteStore};

/// Batches that wait to be written while the next one is read.
const BATCHES_AHEAD: usize = 1;

/// A part of what is in the file.
#[derive(Debug)]
pub(super) enum Part {
    /// Rows of a table.
    Rows(Batch),
    /// A table is done.
    End {
        /// Which one.
        table: &'static Table,
        /// The largest number that counts its rows, of a table that has such.
        last: Option<i64>,
    },
    /// Runs and events to be compared. The last part.
    Sample(Sample),
}

/// The file.
pub(super) struct Source {
    path: PathBuf,
    /// What is in it, through the port.
    pub(super) store: SqliteStore,
}

impl Source {
    /// Opens a file of this version's schema, and checks it as a server would.
    pub(super) async fn open(path: &Path) -> Result<Self, CopyError> {
        if !path.is_file() {
            return Err(CopyError::NoFile(path.to_owned()));
        }
        let schema = schema(path).await?;
        if schema.found != schema.known {
            return Err(CopyError::OtherSchema {
                path: path.to_owned(),
                found: schema.found.unwrap_or_default(),
                known: schema.known.unwrap_or_default(),
            });
        }
        let store = SqliteStore::open(path, SqliteSettings::default()).await?;
        Ok(Self { path: path.to_owned(), store })
    }

    /// Reads everything. The thread ends when nobody receives any more.
    pub(super) fn read(&self) -> Receiver<Result<Part, StoreError>> {
        let (parts, received) = channel(BATCHES_AHEAD);
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || {
            let mut parts = Parts(parts);
            if let Err(Stop::Failed(error)) = read(&path, &mut parts) {
                // Nobody receives it who has given up.
                let _ = parts.0.blocking_send(Err(error));
            }
        });
        received
    }
}

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// Something cannot be read.
    Failed(StoreError),
    /// Nobody receives any more.
    Alone,
}

impl<T: Into<Fault>> std::convert::From<T> for Stop {
    fn from(fault: T) -> Self {
        Self::Failed(fault.into().into())
    }
}

/// Where parts go.
pub(super) struct Parts(Sender<Result<Part, StoreError>>);

impl Parts {
    fn send(&mut self, part: Part) -> Result<(), Stop> {
        self.0.blocking_send(Ok(part)).map_err(|_| Stop::Alone)
    }

    /// Sends what is in the batch, if it is full.
    pub(super) fn send_full(&mut self, batch: &mut Batch) -> Result<(), Stop> {
        if batch.is_full() { self.send_all(batch) } else { Ok(()) }
    }

    /// Sends what is in the batch, and leaves it empty.
    pub(super) fn send_all(&mut self, batch: &mut Batch) -> Result<(), Stop> {
        let empty = Batch::new(batch.table);
        let batch = std::mem::replace(batch, empty);
        if batch.rows == 0 { Ok(()) } else { self.send(Part::Rows(batch)) }
    }
}

fn read(path: &Path, parts: &mut Parts) -> Result<(), Stop> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    let snapshot = connection.transaction()?;
    for table in &TABLES {
        let last = match table.from {
            From::Rows { rows, tenant } => {
                let last = scan(&snapshot, (table, rows, tenant), parts);
                last.map_err(|stop| stop.in_table(table))?
            }
            From::Packs => {
                packs::walk(&snapshot, table, parts).map_err(|stop| stop.in_table(table))?
            }
        };
        parts.send(Part::End { table, last })?;
    }
    let sample = Sample::of(&snapshot)?;
    parts.send(Part::Sample(sample))
}

impl Stop {
    /// Says where something cannot be read.
    fn in_table(self, table: &Table) -> Self {
        match self {
            Self::Failed(StoreError::Corrupt(what)) => {
                Self::Failed(StoreError::Corrupt(format!("table {}: {what}", table.name)))
            }
            other => other,
        }
    }
}

/// Reads the rows of a table, and gives the largest number that counts them.
fn scan(
    snapshot: &Connection,
    (table, rows, tenant): (&'static Table, &str, &str),
    parts: &mut Parts,
) -> Result<Option<i64>, Stop> {
    let columns: Vec<&str> = table.columns.iter().map(|column| column.from).collect();
    let mut statement =
        snapshot.prepare(&format!("SELECT {tenant}, {} FROM {rows}", columns.join(", ")))?;
    let counter = table.columns.iter().position(|column| Some(column.name) == table.counter);
    let mut batch = Batch::new(table);
    let mut last = None;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        batch.add(tenant_of(row)?, row, 1)?;
        if let Some(counter) = counter {
            last = last.max(row.get(1 + counter)?);
        }
        parts.send_full(&mut batch)?;
    }
    parts.send_all(&mut batch)?;
    Ok(last)
}

/// Whose a row is, which begins with that.
pub(super) fn tenant_of(row: &rusqlite::Row<'_>) -> Result<TenantId, Fault> {
    let tenant = id(row.get_ref(0)?)?;
    Ok(TenantId(tenant.ok_or_else(|| Damaged("a row has no tenant".to_owned()))?))
}

/// The ids of a statement that gives a tenant and an id, every so many-th of them.
pub(super) fn ids(
    statement: &mut Statement<'_>,
    step: usize,
) -> Result<Vec<(TenantId, Uuid)>, Fault> {
    let mut found = Vec::new();
    let mut rows = statement.query([])?;
    let mut place = 0;
    while let Some(row) = rows.next()? {
        if place % step == 0 {
            let of = id(row.get_ref(1)?)?.ok_or_else(|| Damaged("a row has no id".to_owned()))?;
            found.push((tenant_of(row)?, of));
        }
        place += 1;
    }
    Ok(found)
}
