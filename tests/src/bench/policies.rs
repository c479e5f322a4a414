//! Row-level security, taken from all tables of a database and given back.

use sqlx::AssertSqlSafe;
use tombolo_test_postgres::Database;

/// Sets whether policies hold. A server that is running goes on.
///
/// # Errors
/// If the database refuses.
pub async fn set(database: &Database, hold: bool) -> anyhow::Result<()> {
    let verb = if hold { "ENABLE" } else { "DISABLE" };
    let mut admin = database.look().await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT tablename::text FROM pg_policies WHERE schemaname = 'public'",
    )
    .fetch_all(&mut admin)
    .await?;
    anyhow::ensure!(!tables.is_empty(), "the database has no policies");
    for table in tables {
        let statement = format!("ALTER TABLE {table} {verb} ROW LEVEL SECURITY");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await?;
    }
    Ok(())
}
