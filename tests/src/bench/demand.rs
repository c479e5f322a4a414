//! What work costs the database server: processor time of all its processes, transactions, log.

use std::time::Duration;

use sqlx::Row;
use tombolo_test_postgres::{Database, Server};

use super::figures::Figures;
use super::process::processor_of_all;

/// What the server has used so far, for everybody.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    processor: Duration,
    commits: i64,
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
            "SELECT xact_commit, (pg_current_wal_lsn() - '0/0')::bigint FROM pg_stat_database
             WHERE datname = current_database()",
        )
        .fetch_one(&mut admin)
        .await?;
        Ok(Self {
            processor: processor_of_all(server.pid()?),
            commits: row.try_get(0)?,
            log_bytes: row.try_get(1)?,
        })
    }

    /// Sets what each of so many runs has cost since `before`.
    pub fn set(self, before: Self, runs: f64, figures: &mut Figures) {
        let processor = self.processor.saturating_sub(before.processor).as_secs_f64() * 1e6;
        figures.set("db_cpu_us_each", processor / runs);
        figures.set("db_commits_each", (self.commits - before.commits) as f64 / runs);
        figures.set("db_log_bytes_each", (self.log_bytes - before.log_bytes) as f64 / runs);
    }
}
