//! The store on SQLite: one connection that writes, a few that read.

mod access;
mod audit;
mod catalog;
mod chain;
mod claim;
mod columns;
pub(crate) mod dedupe;
pub(crate) mod error;
mod housekeeping;
mod ids;
mod keep;
mod letters;
pub(crate) mod open;
mod packs;
#[cfg(test)]
mod plans;
mod reading;
mod run_log;
mod steps;
#[cfg(test)]
mod upgrade;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqlitePool, SqliteRow};
use sqlx::{Acquire, SqliteConnection};
use tokio::sync::oneshot;
use tombolo_core::ports::store::StoreError;

pub use self::audit::SqliteTrail;
use self::error::Fault;
pub use self::open::{SqliteSettings, Synchronous};
use crate::group::{Command, Pending, Writes, channel};
use crate::remembered::Remembered;
use crate::rows::ReadFault;

/// The store on one SQLite file.
///
/// Many callers at once cost little more than one: whatever waits is written in one transaction.
#[derive(Debug)]
pub struct SqliteStore {
    writes: Writes<Command>,
    readers: SqlitePool,
    remembered: Arc<Remembered>,
    /// Tells when the writer has ended; taken by whoever closes the store.
    writer: Mutex<Option<oneshot::Receiver<()>>>,
}

impl SqliteStore {
    /// Opens or makes the file, checks it, brings its schema up to date, and starts the writer.
    ///
    /// Refuses a damaged file ([`StoreError::Corrupt`]) and one that a newer version wrote.
    pub async fn open(path: &Path, settings: SqliteSettings) -> Result<Self, StoreError> {
        Self::open_all(path, settings).await.map_err(|error| open::or_full(path, error))
    }

    async fn open_all(path: &Path, settings: SqliteSettings) -> Result<Self, StoreError> {
        let place = open::prepare(path, &settings).await?;
        let (writes, waiting) = channel(settings.bounds);
        let ended = writer::start(place, waiting).await?;
        let readers = open::readers(path, &settings).await?;
        // Whoever reads makes the log if there is none; it stays until the store is closed.
        open::flush_folders(path)?;
        let remembered = Arc::default();
        Ok(Self { writes, readers, remembered, writer: Mutex::new(Some(ended)) })
    }

    /// Refuses new writes, finishes those that wait, copies the log into the file and closes it.
    /// A second call does nothing.
    pub async fn close(&self) {
        let ended = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The readers first: one of them in the middle of a query would keep the log from being
        // copied.
        self.readers.close().await;
        self.writes.close().await;
        if let Some(ended) = ended
            && ended.await.is_err()
        {
            tracing::error!("the writer ended badly");
        }
    }

    /// Writes something that changes connections, and forgets what was remembered of them before it
    /// is answered.
    async fn write_and_forget<Ask: Send + 'static, Answer: Send + 'static>(
        &self,
        ask: Ask,
        command: impl FnOnce(Pending<Ask, Answer>) -> Command + Send + 'static,
    ) -> Result<Answer, StoreError> {
        let (writes, remembered) = (self.writes.clone(), Arc::clone(&self.remembered));
        // Beside the caller: whoever stops waiting does not stop the write, and what was remembered
        // before it has to be forgotten after it all the same.
        let write = tokio::spawn(async move {
            let written = writes.write(ask, command).await;
            remembered.forget();
            written
        });
        write
            .await
            .map_err(|error| StoreError::Database(format!("a write ended badly: {error}")))?
    }

    /// Runs queries on one reader, on one state of the database.
    async fn read<T>(
        &self,
        queries: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let mut reader = self.readers.acquire().await.map_err(Fault::from)?;
        let mut snapshot = reader.begin().await.map_err(Fault::from)?;
        let answer = queries(&mut snapshot).await?;
        snapshot.commit().await.map_err(Fault::from)?;
        Ok(answer)
    }

    async fn read_all<T>(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
        read: impl Fn(&SqliteRow) -> Result<T, ReadFault>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = query.fetch_all(&self.readers).await.map_err(Fault::from)?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>().map_err(Fault::from)?)
    }

    async fn read_one<T>(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
        read: impl Fn(&SqliteRow) -> Result<T, ReadFault>,
    ) -> Result<Option<T>, StoreError> {
        let row = query.fetch_optional(&self.readers).await.map_err(Fault::from)?;
        Ok(row.as_ref().map(read).transpose().map_err(Fault::from)?)
    }
}
