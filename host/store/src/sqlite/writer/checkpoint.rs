//! Copying the log into the file, between batches and at the end.
//!
//! SQLite would do it by itself, and keep to itself what failed. That matters for one failure: what
//! a flush was to write and did not is dropped by Linux, and SQLite does not copy it again if an
//! earlier, partial copy had reached that far. With the next copy it would take the log for done
//! with and overwrite the only whole version. So after a flush that failed nothing is copied any
//! more: the log then keeps everything, until the next start reads it from its beginning.

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tombolo_core::ports::store::StoreError;

use crate::sqlite::error::Fault;

/// When the log is copied, and whether it still may be.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// Pages in the log from which on it is copied; 0 for never.
    pages: u32,
    /// A flush failed: see above.
    stopped: bool,
    /// The last time failed: told once, not after every batch.
    failing: bool,
}

/// How much is in the log, and how much of that is in the file; in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Log {
    pages: i64,
    copied: i64,
}

impl Checkpoints {
    pub(super) fn new(pages: u32) -> Self {
        Self { pages, stopped: false, failing: false }
    }

    /// Copies the log if it is long. What fails is tried again after the next batch, and is nobody's
    /// concern who waits for a write.
    pub(super) fn run_if_due(&mut self, connection: &Connection) {
        if self.stopped || self.pages == 0 {
            return;
        }
        let copied = log(connection).and_then(|log| {
            let due = log.pages >= i64::from(self.pages) && log.copied < log.pages;
            if due { run(connection, "PRAGMA wal_checkpoint(PASSIVE)").map(drop) } else { Ok(()) }
        });
        match copied {
            Ok(()) => self.failing = false,
            Err(fault) => self.note(fault),
        }
    }

    /// Copies the whole log, so that nothing is left to do at the next start, and closes the file.
    pub(super) fn finish(mut self, connection: Connection) {
        if !self.stopped
            && let Err(fault) = run(&connection, "PRAGMA wal_checkpoint(TRUNCATE)")
        {
            self.note(fault);
        }
        // Closing copies, too, unless it is told not to.
        let kept =
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, self.stopped);
        let closed = connection.close().map_err(|(_, error)| error);
        if let Err(error) = kept.map(drop).and(closed) {
            tracing::warn!(%error, "closing the database");
        }
    }

    fn note(&mut self, fault: Fault) {
        self.stopped = fault.is_failed_flush();
        let error = StoreError::from(fault);
        if self.stopped {
            tracing::error!(
                %error,
                "a flush failed: from now on the log grows; look after the disk, then restart"
            );
        } else if !self.failing {
            tracing::warn!(%error, "the log cannot be copied into the file now");
        }
        self.failing = true;
    }
}

/// Looks at the log; copies nothing.
fn log(connection: &Connection) -> Result<Log, Fault> {
    run(connection, "PRAGMA wal_checkpoint(NOOP)")
}

fn run(connection: &Connection, checkpoint: &str) -> Result<Log, Fault> {
    // The first column says whether a reader or writer was in the way.
    let log = |row: &rusqlite::Row<'_>| Ok(Log { pages: row.get(1)?, copied: row.get(2)? });
    Ok(connection.prepare_cached(checkpoint)?.query_row([], log)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection as the writer has it, and one page in the log.
    fn written(folder: &tempfile::TempDir) -> Connection {
        let connection = Connection::open(folder.path().join("a.db")).unwrap();
        let start = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (n)";
        connection.execute_batch(start).unwrap();
        connection
    }

    #[test]
    fn the_log_is_copied_once_it_is_long() {
        let folder = tempfile::tempdir().unwrap();
        let connection = written(&folder);
        let pages = log(&connection).unwrap().pages;
        assert!(pages > 0);
        Checkpoints::new(u32::try_from(pages).unwrap() + 1).run_if_due(&connection);
        assert_eq!(log(&connection).unwrap(), Log { pages, copied: 0 });
        Checkpoints::new(u32::try_from(pages).unwrap()).run_if_due(&connection);
        assert_eq!(log(&connection).unwrap(), Log { pages, copied: pages });
    }

    #[test]
    fn after_a_flush_that_failed_the_log_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let connection = written(&folder);
        let mut checkpoints = Checkpoints::new(1);
        checkpoints.stopped = true;
        checkpoints.run_if_due(&connection);
        assert_eq!(log(&connection).unwrap().copied, 0);
        checkpoints.finish(connection);
        let left = std::fs::metadata(folder.path().join("a.db-wal")).unwrap();
        assert!(left.len() > 0);
    }
}
