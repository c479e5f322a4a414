//! Everything that a migration makes is copied.

use std::collections::BTreeSet;

use sqlx::Row;
use tombolo_test_postgres::Database;

use super::table::TABLES;
use crate::{PostgresSettings, PostgresStore};

/// Tables of tenants that begin empty: rows of `flow_lock` are made when they are needed.
const BEGIN_EMPTY: [&str; 1] = ["flow_lock"];

#[tokio::test]
async fn every_column_of_every_table_of_tenants_is_copied() {
    let database = Database::fresh().await.unwrap();
    let store = PostgresStore::open(PostgresSettings::new(database.url())).await.unwrap();
    let rows = sqlx::query(
        "SELECT c.table_name::text, c.column_name::text FROM information_schema.columns c
         WHERE c.table_schema = current_schema() AND (c.table_name = 'tenant' OR EXISTS (
           SELECT 1 FROM information_schema.columns t WHERE t.table_schema = c.table_schema
             AND t.table_name = c.table_name AND t.column_name = 'tenant_id'))",
    )
    .fetch_all(&mut database.connect().await.unwrap())
    .await
    .unwrap();
    store.close().await;

    let there: BTreeSet<(String, String)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .filter(|(table, _): &(String, String)| !BEGIN_EMPTY.contains(&table.as_str()))
        .collect();
    let copied: BTreeSet<(String, String)> = TABLES
        .iter()
        .flat_map(|table| {
            let columns = table.columns.iter().map(|column| column.name);
            columns.chain([table.tenant]).map(|column| (table.name.to_owned(), column.to_owned()))
        })
        .collect();
    assert_eq!(copied, there);
}
