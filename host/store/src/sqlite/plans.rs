//! What SQLite says it will do for a query: for the tests of queries that must not pass over much.

use rusqlite::Connection;

use super::open::MIGRATIONS;

/// An empty database with our schema.
pub(super) fn database() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    for migration in MIGRATIONS.iter() {
        connection.execute_batch(migration.sql.as_str()).unwrap();
    }
    connection
}

/// The plan, line by line.
pub(super) fn explain(connection: &Connection, query: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
    let lines = statement.raw_query().mapped(|row| row.get::<_, String>(3));
    lines.map(Result::unwrap).collect()
}
