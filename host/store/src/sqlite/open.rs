//! Opening the file: settings, checks, migrations, and the two kinds of connection.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection as _};
use tombolo_core::ports::store::StoreError;

use super::error::Fault;
use super::{chain, dedupe};
use crate::group::Bounds;

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How durable a commit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// Survives a power cut.
    #[default]
    Full,
    /// The last commits may be lost in a power cut; the file stays whole. About ten times as many
    /// commits a second.
    Normal,
}

/// Settings of the file. Every bound has a name and a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteSettings {
    /// How durable a commit is.
    pub synchronous: Synchronous,
    /// How much may wait to be written, and how much is written at once.
    pub bounds: Bounds,
    /// Connections that read beside the writer.
    pub readers: u32,
    /// How long a query waits for a free reader.
    pub reader_timeout: Duration,
    /// How long to wait for another process that writes the file.
    pub busy_timeout: Duration,
    /// Bytes of a page; fixed when the file is made. Measured with runs of a webhook, a `map` and a
    /// call: pages of 8,192 write half as much again, and take as much space.
    pub page_bytes: u32,
    /// Page cache of each connection, in KiB. A large one costs the writer: of a file that gives free
    /// pages back, SQLite looks through all of it at every commit (measured with 64,000: 4 % of the
    /// host's time). What is not in it is mapped, see `mmap_bytes`.
    pub cache_kib: u32,
    /// Bytes of the file that are mapped into memory.
    pub mmap_bytes: u64,
    /// Pages in the write-ahead log after which it is copied into the file; with 0 only when the
    /// store is closed.
    pub checkpoint_pages: u32,
    /// Bytes that the write-ahead log keeps on disk between checkpoints.
    pub journal_bytes: u64,
    /// Bytes that the file may grow to; more is refused with [`StoreError::Full`]. None for as much
    /// as the disk has.
    pub max_file_bytes: Option<u64>,
}

impl Default for SqliteSettings {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            bounds: Bounds::default(),
            readers: 4,
            reader_timeout: Duration::from_secs(10),
            busy_timeout: Duration::from_secs(5),
            page_bytes: 4096,
            cache_kib: 8192,
            mmap_bytes: 256 * 1024 * 1024,
            checkpoint_pages: 4000,
            journal_bytes: 64 * 1024 * 1024,
            max_file_bytes: None,
        }
    }
}

impl SqliteSettings {
    fn synchronous(&self) -> SqliteSynchronous {
        match self.synchronous {
            Synchronous::Full => SqliteSynchronous::Full,
            Synchronous::Normal => SqliteSynchronous::Normal,
        }
    }

    /// What every connection needs.
    fn pragmas(&self) -> [(&'static str, String); 5] {
        [
            ("cache_size", format!("-{}", self.cache_kib)),
            ("temp_store", "MEMORY".to_owned()),
            ("mmap_size", self.mmap_bytes.to_string()),
            ("journal_size_limit", self.journal_bytes.to_string()),
            // The writer copies the log, and is told if that fails; nobody else does.
            ("wal_autocheckpoint", "0".to_owned()),
        ]
    }

    /// How the file is made. The order of the first pragmas matters, and is sqlx's: a page's size
    /// cannot change once there is a log, and how free pages are given back not once there is a
    /// table. A file from before that was set stays as it is until it is rewritten once:
    /// `PRAGMA auto_vacuum = INCREMENTAL; VACUUM`.
    fn making(&self, path: &Path) -> SqliteConnectOptions {
        self.options(path).auto_vacuum(SqliteAutoVacuum::Incremental)
    }

    /// How the file is opened. `auto_vacuum` is not among them: to set it is a write, for which a new
    /// reader would have to wait until the writer lets it.
    fn options(&self, path: &Path) -> SqliteConnectOptions {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .page_size(self.page_bytes)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(self.synchronous())
            .busy_timeout(self.busy_timeout)
            .foreign_keys(true)
            .statement_cache_capacity(STATEMENTS)
            .row_buffer_size(ROWS)
            .disable_statement_logging();
        self.pragmas()
            .into_iter()
            .fold(options, |options, (name, value)| options.pragma(name, value))
    }
}

/// Prepared statements kept per connection: more than there are.
const STATEMENTS: usize = 96;

/// Rows that a reader's thread may be ahead of whoever asked.
const ROWS: usize = 256;

/// Where the writer's connection goes, and how.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    settings: SqliteSettings,
}

impl Place {
    /// The connection that writes. The file is there, and so is its schema.
    pub(super) fn connect(&self) -> Result<Connection, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.settings.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let synchronous = match self.settings.synchronous {
            Synchronous::Full => "FULL",
            Synchronous::Normal => "NORMAL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        for (name, value) in self.settings.pragmas() {
            connection.pragma_update(None, name, value)?;
        }
        if let Some(bytes) = self.settings.max_file_bytes {
            // Of the file, which may have been made with other settings.
            let page_bytes: i64 =
                connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
            let pages = bytes / page_bytes.max(1).unsigned_abs();
            connection.pragma_update(None, "max_page_count", pages.max(1).cast_signed())?;
        }
        Ok(connection)
    }

    /// Pages in the log from which on it is copied into the file.
    pub(super) fn checkpoint_pages(&self) -> u32 {
        self.settings.checkpoint_pages
    }

    /// True if the process that had the file last did not close it, or still has it: whoever closes
    /// it copies the log into the file and deletes the log.
    fn ended_uncleanly(&self) -> io::Result<bool> {
        // The log stands beside the file itself, not beside a link to it.
        let mut log = fs::canonicalize(&self.path)?.into_os_string();
        log.push("-wal");
        match fs::metadata(log) {
            Ok(log) => Ok(log.len() > 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Looks for damage. `quick_check` reads every page once (measured: 3.4 s per GB); the full
    /// check takes many times as long.
    fn check(&self) -> Result<(), StoreError> {
        let answer = self.quick_check().map_err(StoreError::from)?;
        if answer == "ok" {
            Ok(())
        } else {
            Err(StoreError::Corrupt(format!("{}: {answer}", self.path.display())))
        }
    }

    fn quick_check(&self) -> Result<String, Fault> {
        // The log stays: without it the next start would take a file that was found damaged for one
        // that was closed cleanly, and not look.
        Ok(self.look()?.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?)
    }

    fn refuse_newer(&self) -> Result<(), StoreError> {
        let found = self.schema().map_err(StoreError::from)?;
        let known = MIGRATIONS.iter().map(|migration| migration.version).max();
        if found <= known {
            return Ok(());
        }
        Err(StoreError::Database(format!(
            "{} was written by a newer version of Tombolo (schema {}, this one knows {}); update Tombolo",
            self.path.display(),
            found.unwrap_or_default(),
            known.unwrap_or_default(),
        )))
    }

    /// The latest migration of the file; None of one that has none.
    fn schema(&self) -> Result<Option<i64>, Fault> {
        let connection = self.look()?;
        let migrations =
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'";
        if !connection.prepare(migrations)?.exists([])? {
            return Ok(None);
        }
        let latest = "SELECT max(version) FROM _sqlx_migrations";
        Ok(connection.query_row(latest, [], |row| row.get(0))?)
    }

    /// A connection that leaves the file as it is, also when it is closed.
    fn look(&self) -> Result<Connection, Fault> {
        let connection = self.connect()?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(connection)
    }
}

/// The schema of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schema {
    /// Its latest migration; None of a file that has none.
    pub(crate) found: Option<i64>,
    /// That of a file which this version has opened.
    pub(crate) known: Option<i64>,
}

/// Looks which schema a file has, and leaves it as it is. The file has to be there.
pub(crate) async fn schema(path: &Path) -> Result<Schema, StoreError> {
    let place = Place { path: path.to_owned(), settings: SqliteSettings::default() };
    let found = tokio::task::spawn_blocking(move || place.schema().map_err(StoreError::from))
        .await
        .unwrap_or_else(|error| {
            Err(StoreError::Database(format!("looking at the file: {error}")))
        })?;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max();
    Ok(Schema { found, known })
}

/// Opens or makes the file, checks it after an unclean end, and brings its schema up to date.
pub(super) async fn prepare(path: &Path, settings: &SqliteSettings) -> Result<Place, StoreError> {
    make_private(path).map_err(|error| cannot_open(path, &error))?;
    // Before anything else opens it: closing the last connection deletes the log.
    let place = Place { path: path.to_owned(), settings: settings.clone() };
    let place = refuse_newer(check_unless_closed(place).await?).await?;
    let mut connection = settings.making(path).connect().await.map_err(fault)?;
    // `run` over a reference makes a future that a caller cannot send to another thread.
    MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => fault(error),
        other => StoreError::Database(format!("{}: {other}", path.display())),
    })?;
    let mut place = place;
    for (is_due, fill) in FILLS {
        let due = sqlx::query_scalar(is_due).fetch_one(&mut connection).await.map_err(fault)?;
        if due {
            place = fill_in(place, fill).await?;
        }
    }
    connection.close().await.map_err(fault)?;
    Ok(place)
}

/// Fills in what migrations cannot compute.
type Fill = fn(&mut Connection) -> Result<(), Fault>;

/// What may be missing after migrations, each with the question whether it is.
const FILLS: [(&str, Fill); 2] =
    [(dedupe::UNHASHED, dedupe::fill), (chain::UNCHAINED, chain::fill)];

async fn fill_in(place: Place, fill: Fill) -> Result<Place, StoreError> {
    let fill = move || -> Result<Place, Fault> {
        fill(&mut place.connect()?)?;
        Ok(place)
    };
    tokio::task::spawn_blocking(move || fill().map_err(StoreError::from))
        .await
        .unwrap_or_else(|error| Err(StoreError::Database(format!("filling in hashes: {error}"))))
}

/// The connections that read. None of them can write.
pub(super) async fn readers(
    path: &Path,
    settings: &SqliteSettings,
) -> Result<SqlitePool, StoreError> {
    SqlitePoolOptions::new()
        .max_connections(settings.readers.max(1))
        .acquire_timeout(settings.reader_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(settings.options(path).pragma("query_only", "ON"))
        .await
        .map_err(fault)
}

/// Makes the names of file and log durable, and those of the folders that lead to them: one of them
/// may just have been made. SQLite flushes the folder of its log, too, and does not say if it fails.
pub(super) fn flush_folders(path: &Path) -> Result<(), StoreError> {
    // Both stand beside the file itself, not beside a link to it.
    let file = fs::canonicalize(path).map_err(|error| cannot_open(path, &error))?;
    for folder in file.ancestors().skip(1) {
        match fs::File::open(folder).and_then(|folder| folder.sync_all()) {
            // Who may not look into a folder has made nothing in it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            // A folder that is mounted from elsewhere may be of a kind that cannot be flushed.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
            flushed => flushed.map_err(|error| cannot_open(folder, &error))?,
        }
    }
    Ok(())
}

/// Makes the file, readable for its owner only; SQLite gives its log the same mode.
fn make_private(path: &Path) -> io::Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Looks for damage, unless the file was closed cleanly: a start of a large file would take minutes.
async fn check_unless_closed(place: Place) -> Result<Place, StoreError> {
    let unclean = place.ended_uncleanly().map_err(|error| cannot_open(&place.path, &error))?;
    if !unclean {
        return Ok(place);
    }
    tokio::task::spawn_blocking(move || place.check().map(|()| place))
        .await
        .unwrap_or_else(|error| Err(StoreError::Database(format!("checking the file: {error}"))))
}

/// Refuses a file that a newer version of Tombolo wrote, before anything is changed in it: how free
/// pages are given back is set by a write.
async fn refuse_newer(place: Place) -> Result<Place, StoreError> {
    tokio::task::spawn_blocking(move || place.refuse_newer().map(|()| place))
        .await
        .unwrap_or_else(|error| Err(StoreError::Database(format!("looking at the file: {error}"))))
}

/// SQLite says of a file that it cannot make only that it cannot. On a disk without space that is
/// the reason.
pub(super) fn or_full(path: &Path, error: StoreError) -> StoreError {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let disk = rustix::fs::statvfs(folder.unwrap_or(Path::new(".")));
    match error {
        StoreError::Database(_) if disk.is_ok_and(|disk| disk.f_bavail == 0) => StoreError::Full,
        other => other,
    }
}

fn cannot_open(path: &Path, error: &io::Error) -> StoreError {
    if error.kind() == io::ErrorKind::StorageFull {
        return StoreError::Full;
    }
    StoreError::Database(format!("cannot open {}: {error}", path.display()))
}

fn fault(error: sqlx::Error) -> StoreError {
    Fault::from(error).into()
}
