//! Group commit with several writers: each takes whatever waits, writes it in one transaction, and
//! answers after its commit. While all of them write, the next batch gathers.
//!
//! They write what runs bring, accepts and settles. Everything else is rare enough for a transaction
//! of its own.
//!
//! Order of locks, the same in all transactions: tenant by tenant, and of each its `flow_lock`, then
//! rows of `queue` by run, then the others. Where two meet all the same, PostgreSQL ends one of them
//! and it is tried again.

mod accept;
mod batch;
mod commit;
mod journal;
mod letter;
mod next;
pub(crate) mod pack;
mod part;
pub(super) mod payload;
mod run;
mod settle;
mod state;
mod step;

use std::sync::Arc;

use sqlx::postgres::PgPool;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(super) use self::batch::Write;
use self::commit::Writer;
use super::statistics::Statistics;
use crate::group::Waiting;

/// Starts them. They end when the channel is closed and empty.
pub(super) fn start(
    pool: &PgPool,
    statistics: &Arc<Statistics>,
    waiting: Waiting<Write>,
    ids: Vec<Uuid>,
) -> Vec<JoinHandle<()>> {
    let waiting = Arc::new(Mutex::new(waiting));
    let spawn = |id| {
        let writer = Writer::new(pool.clone(), id);
        tokio::spawn(write_all(writer, waiting.clone(), statistics.clone()))
    };
    ids.into_iter().map(spawn).collect()
}

async fn write_all(
    mut writer: Writer,
    waiting: Arc<Mutex<Waiting<Write>>>,
    statistics: Arc<Statistics>,
) {
    loop {
        let next = waiting.lock().await.next().await;
        let Some(writes) = next else { return };
        writer.write(writes.into_iter().collect()).await;
        statistics.wrote();
    }
}
