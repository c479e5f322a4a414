//! The store: the log of runs, the catalog, tenants and tokens, and reading, on SQLite and on
//! PostgreSQL.
//!
//! Owns the databases' schemas and the group commit. Never decides what becomes of a run: it writes
//! what the engine says, under the run's lease, and nothing without one.
//!
//! `record` turns the port's types into columns and back, `rows` reads rows, `group` gathers waiting
//! writes into batches, and each database has a folder of its own that writes and fetches them. `copy`
//! brings everything from the one to the other.

mod copy;
mod group;
mod postgres;
mod record;
mod remembered;
mod rows;
mod sqlite;
mod turn;

pub use copy::{Begin, Compared, Copied, CopiedTable, CopyError, CopyProgress, copy};
pub use group::Bounds;
pub use postgres::{PostgresSettings, PostgresStore};
pub use record::INLINE_LIMIT_BYTES;
pub use sqlite::{SqliteSettings, SqliteStore, SqliteTrail, Synchronous};
