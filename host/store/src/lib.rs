//! The store: the log of runs, the catalog, tenants and tokens, and reading, on SQLite.
//!
//! Owns the databases' schemas and the group commit. Never decides what becomes of a run: it writes
//! what the engine says, under the run's lease, and nothing without one.
//!
//! `record` turns the port's types into columns and back, `group` gathers waiting writes into
//! batches, and each database has a folder of its own that writes and reads them.

mod group;
mod record;
mod sqlite;

pub use group::Bounds;
pub use record::INLINE_LIMIT_BYTES;
pub use sqlite::{SqliteSettings, SqliteStore, SqliteTrail, Synchronous};
