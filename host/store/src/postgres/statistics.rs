//! What the server knows of our tables, while they grow fast.
//!
//! A plan is made once and kept ([`session`](super::open)). One that was made while a table was empty
//! reads all of a tenant's rows where it should look for one, and stays until the server has counted the
//! table: by itself it looks once a minute at the earliest. Until then a new database under load spends
//! most of its processor on that. So whoever writes has tables counted that are four times as large as
//! the server believes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use tokio::time::Instant;

use super::error::Fault;

/// How long after the start it is looked first; each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Looks after the statistics while there is something to write.
#[derive(Debug)]
pub(super) struct Statistics {
    pool: PgPool,
    next: Mutex<Next>,
}

#[derive(Debug)]
struct Next {
    at: Instant,
    pause: Duration,
    looking: bool,
}

impl Statistics {
    /// Of the database behind these connections.
    pub(super) fn new(pool: PgPool) -> Arc<Self> {
        let next = Next { at: Instant::now() + FIRST_PAUSE, pause: FIRST_PAUSE, looking: false };
        Arc::new(Self { pool, next: Mutex::new(next) })
    }

    /// Something was written. Looks beside it if it is time.
    pub(super) fn wrote(self: &Arc<Self>) {
        let mut next = self.next();
        if next.looking || Instant::now() < next.at {
            return;
        }
        next.looking = true;
        drop(next);
        let this = self.clone();
        tokio::spawn(async move {
            if let Err(fault) = refresh(&this.pool).await {
                // The server counts by itself, later.
                tracing::debug!(?fault, "the tables were not counted");
            }
            let mut next = this.next();
            next.pause = (next.pause * 2).min(LONGEST_PAUSE);
            next.at = Instant::now() + next.pause;
            next.looking = false;
        });
    }

    fn next(&self) -> MutexGuard<'_, Next> {
        // Nothing panics while holding it.
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the tables counted that have grown fourfold since, and gives how many there were. Of those that
/// are somebody else's none: only an owner may.
pub(super) async fn refresh(pool: &PgPool) -> Result<usize, Fault> {
    let grown: Vec<String> = sqlx::query_scalar(
        "SELECT quote_ident(relname) FROM pg_class
         WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
           AND pg_has_role(relowner, 'USAGE')
           AND pg_relation_size(oid) / 8192 >= 4 * greatest(relpages, 1)",
    )
    .fetch_all(pool)
    .await?;
    for table in &grown {
        sqlx::query(AssertSqlSafe(format!("ANALYZE {table}"))).execute(pool).await?;
    }
    Ok(grown.len())
}
