//! What work costs the database server: processor time of all its processes, writing transactions, log.

use std::time::Duration;

use sqlx::Row;
use tombolo_test_postgres::{Database, Server};

use super::figures::Figures;
use super::process::processor_of_all;

/// What the server has used so far, for everybody.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    processor: Duration,
    transactions: i64,
    log_bytes: i64,
}

impl Demand {
    /// Looks it up.
    ///
    /// # Errors
    /// If the server is not there.
    pub async fn so_far(server: &Server, database: &Database) -> anyhow::Result<Self> {
        let mut admin = database.look().await?;
        let row = sqlx::query(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
               (pg_current_wal_lsn() - '0/0')::bigint",
        )
        .fetch_one(&mut admin)
        .await?;
        Ok(Self {
            processor: processor_of_all(server.pid()?),
            transactions: row.try_get(0)?,
            log_bytes: row.try_get(1)?,
        })
    }

    /// Sets what each of so many runs has cost since `before`.
    pub fn set(self, before: Self, runs: u64, group: &str, figures: &mut Figures) {
        let runs = runs.max(1) as f64;
        let processor = self.processor.saturating_sub(before.processor).as_secs_f64() * 1e6;
        figures.set(format!("{group}db_cpu_us_each"), processor / runs);
        let each = |after: i64, before: i64| (after - before) as f64 / runs;
        let transactions = each(self.transactions, before.transactions);
        figures.set(format!("{group}db_transactions_each"), transactions);
        figures.set(format!("{group}db_log_bytes_each"), each(self.log_bytes, before.log_bytes));
    }
}
