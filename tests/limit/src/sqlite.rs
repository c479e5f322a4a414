//! As much of SQLite's C interface as the yardstick needs: open, prepare, bind, step. The only
//! place with unsafe code; what it hands out cannot be misused.
#![expect(unsafe_code, reason = "a C interface, called here and nowhere else")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use libsqlite3_sys as ffi;

/// The settings of the store's file, so that both do the same work on the disk.
const SETTINGS: &str = "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL; PRAGMA cache_size = -64000; PRAGMA temp_store = MEMORY;
    PRAGMA mmap_size = 268435456; PRAGMA journal_size_limit = 67108864;
    PRAGMA wal_autocheckpoint = 4000;";

/// What SQLite says went wrong.
#[derive(Debug)]
pub struct Failed(String);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SQLite: {}", self.0)
    }
}

impl std::error::Error for Failed {}

/// A database file, open for one thread at a time.
pub struct Database(*mut ffi::sqlite3);

// SAFETY: SQLite is compiled thread-safe, and without `Sync` only one thread has the connection.
unsafe impl Send for Database {}

/// A parameter. Borrowed for one run of a statement.
#[derive(Debug, Clone, Copy)]
pub enum Value<'v> {
    Number(i64),
    Text(&'v str),
    Bytes(&'v [u8]),
}

/// A prepared statement of a database.
pub struct Statement<'d> {
    statement: *mut ffi::sqlite3_stmt,
    database: *mut ffi::sqlite3,
    lives: PhantomData<&'d Database>,
}

impl Database {
    /// Opens the file with the store's settings.
    pub fn open(path: &Path) -> Result<Self, Failed> {
        let path = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| Failed("the path holds a zero byte".to_owned()))?;
        let mut raw = ptr::null_mut();
        // SAFETY: `path` ends with a zero byte, `raw` takes the connection. A connection that
        // failed is still one, and is closed by the drop of `Self`.
        let code = unsafe { ffi::sqlite3_open(path.as_ptr(), &raw mut raw) };
        let database = Self(raw);
        check(raw, code, ffi::SQLITE_OK)?;
        database.run(SETTINGS)?;
        Ok(database)
    }

    /// Runs statements without parameters.
    pub fn run(&self, text: &str) -> Result<(), Failed> {
        let text = CString::new(text).map_err(|_| Failed("a zero byte".to_owned()))?;
        // SAFETY: the connection is open, `text` ends with a zero byte, nothing is called back.
        let code = unsafe {
            ffi::sqlite3_exec(self.0, text.as_ptr(), None, ptr::null_mut(), ptr::null_mut())
        };
        check(self.0, code, ffi::SQLITE_OK)
    }

    /// Prepares one statement, to be run many times.
    pub fn prepare(&self, text: &str) -> Result<Statement<'_>, Failed> {
        let mut statement = ptr::null_mut();
        // SAFETY: the connection is open; SQLite reads `text` for its length only and copies it.
        let code = unsafe {
            ffi::sqlite3_prepare_v3(
                self.0,
                text.as_ptr().cast::<c_char>(),
                length(text.len())?,
                ffi::SQLITE_PREPARE_PERSISTENT,
                &raw mut statement,
                ptr::null_mut(),
            )
        };
        check(self.0, code, ffi::SQLITE_OK)?;
        Ok(Statement { statement, database: self.0, lives: PhantomData })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: nothing uses the connection any more: statements borrow the database.
        unsafe { ffi::sqlite3_close(self.0) };
    }
}

impl Statement<'_> {
    /// Runs it to its end with these parameters.
    pub fn run(&mut self, values: &[Value<'_>]) -> Result<(), Failed> {
        for (number, value) in (1..).zip(values) {
            self.bind(number, *value)?;
        }
        // SAFETY: the statement is prepared, and what is bound outlives this call. The reset ends
        // SQLite's use of it; its code repeats that of the step.
        let code = unsafe {
            let code = ffi::sqlite3_step(self.statement);
            ffi::sqlite3_reset(self.statement);
            ffi::sqlite3_clear_bindings(self.statement);
            code
        };
        check(self.database, code, ffi::SQLITE_DONE)
    }

    fn bind(&mut self, number: c_int, value: Value<'_>) -> Result<(), Failed> {
        // No destructor means that SQLite takes no copy: `run` holds what is bound until the reset.
        // SAFETY: the statement is prepared, pointers and lengths belong together.
        let code = unsafe {
            match value {
                Value::Number(value) => ffi::sqlite3_bind_int64(self.statement, number, value),
                Value::Text(text) => ffi::sqlite3_bind_text(
                    self.statement,
                    number,
                    text.as_ptr().cast::<c_char>(),
                    length(text.len())?,
                    None,
                ),
                Value::Bytes(bytes) => ffi::sqlite3_bind_blob(
                    self.statement,
                    number,
                    bytes.as_ptr().cast(),
                    length(bytes.len())?,
                    None,
                ),
            }
        };
        check(self.database, code, ffi::SQLITE_OK)
    }
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: prepared once, finalized once.
        unsafe { ffi::sqlite3_finalize(self.statement) };
    }
}

fn length(bytes: usize) -> Result<c_int, Failed> {
    c_int::try_from(bytes).map_err(|_| Failed("a value of 2 GiB or more".to_owned()))
}

fn check(database: *mut ffi::sqlite3, code: c_int, wanted: c_int) -> Result<(), Failed> {
    if code == wanted {
        return Ok(());
    }
    // SAFETY: SQLite gives a text that ends with a zero byte for any connection, and for none; it is
    // copied before anything else is called.
    let text = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(database)) };
    Err(Failed(text.to_string_lossy().into_owned()))
}
