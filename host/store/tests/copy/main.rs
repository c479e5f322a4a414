//! Copying a SQLite file to PostgreSQL: what was in the one is in the other, and goes on there.

mod cut_off;
mod look;
mod many;
mod old;
mod refused;
mod rows;
mod scene;
mod whole;

use std::path::Path;

use tombolo_store::{Begin, Copied, CopyError, PostgresSettings, PostgresStore, copy};
use tombolo_test_postgres::Database;

/// How a database is opened.
fn settings(database: &Database) -> PostgresSettings {
    PostgresSettings { connections: 6, ..PostgresSettings::new(database.url()) }
}

/// Copies the file to the database.
async fn copied(from: &Path, to: &Database) -> Result<Copied, CopyError> {
    copy(from, settings(to), Begin::Empty, |_| {}).await
}

/// Copies the file, all of it.
async fn whole(from: &Path, to: &Database) -> PostgresStore {
    let copied = copied(from, to).await.unwrap();
    assert!(copied.is_same(), "{copied:?}");
    PostgresStore::open(settings(to)).await.unwrap()
}
