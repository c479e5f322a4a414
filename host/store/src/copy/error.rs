//! Why nothing was copied, or not all of it.

use std::path::PathBuf;

use tombolo_core::ports::store::StoreError;

/// Why nothing was copied, or not all of it. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is nothing to copy.
    #[error(
        "there is no database {0}; type this where the configuration of the server is that wrote it, or \
         name that with --config"
    )]
    NoFile(PathBuf),
    /// Another version of Tombolo had the file last.
    #[error(
        "{path} has the schema {found}, and this version copies {known}; start this version once on \
         it (`tombolo serve`, without the address of a PostgreSQL database), stop it, and copy then"
    )]
    OtherSchema {
        /// The file.
        path: PathBuf,
        /// Its schema; 0 for none.
        found: i64,
        /// This version's.
        known: i64,
    },
    /// Somebody works with the target.
    #[error(
        "the PostgreSQL database has tenants already, and nothing in it is overwritten; name an empty \
         database, which no server was started on"
    )]
    NotEmpty,
    /// The target holds a part of another copy.
    #[error(
        "an earlier copy into the PostgreSQL database was cut off; `tombolo store copy --again` \
         empties it and begins anew"
    )]
    CutOff,
    /// Another process copies into the target.
    #[error("another `tombolo store copy` writes to the PostgreSQL database; let it end")]
    UnderWay,
    /// A table could not be written.
    #[error(
        "table {table}: {error}. The PostgreSQL database holds a part of the copy; mend this, and \
         begin anew with `tombolo store copy --again`"
    )]
    Table {
        /// Which one.
        table: &'static str,
        /// Why.
        error: StoreError,
    },
    /// One of the two databases failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
