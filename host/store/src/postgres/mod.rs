//! The store on PostgreSQL, shared by as many processes as there are.
//!
//! Results of runs are written in groups by a few writers (`writer`), everything else in transactions
//! of its own. All of them go through `scope`, which binds them to a tenant. Nothing is kept in a
//! process that another one could change, but for what its settings name.

mod access;
pub(crate) mod any;
mod audit;
mod cancel;
mod catalog;
mod claim;
mod claim_rows;
mod columns;
mod connection;
pub(crate) mod error;
mod flow;
mod forget;
mod housekeeping;
mod keep;
pub(crate) mod leases;
mod letters;
mod live;
pub(crate) mod open;
mod packs;
mod pause;
mod put;
mod queue;
mod quota;
mod reading;
mod retried;
mod run_log;
mod run_log_rows;
pub(crate) mod scope;
mod set_back;
mod signal;
mod statistics;
pub(crate) mod text;
mod token;
mod turn;
pub(crate) mod writer;

use std::sync::{Arc, Mutex, PoisonError};

use sqlx::postgres::PgPool;
use tokio::task::JoinHandle;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::StoreError;

use self::error::Fault;
use self::live::on_a_live_one;
pub use self::open::PostgresSettings;
use self::scope::{HostTx, Kind, TenantTx, Tx};
use self::statistics::Statistics;
use self::writer::Write;
use crate::group::{Writes, channel};
use crate::remembered::Remembered;

/// The store on a PostgreSQL database.
///
/// Many callers at once cost little more than one: whatever waits is written in one transaction.
#[derive(Debug)]
pub struct PostgresStore {
    pool: PgPool,
    of_writers: PgPool,
    writes: Writes<Write>,
    remembered: Arc<Remembered>,
    /// Taken by whoever closes the store.
    writers: Mutex<Option<Vec<JoinHandle<()>>>>,
}

impl PostgresStore {
    /// Connects, brings the schema up to date, and starts the writers.
    ///
    /// Refuses a database that a newer version wrote, and one that would not keep tenants apart or
    /// holds a part of a copy ([`StoreError::Refused`]).
    pub async fn open(settings: PostgresSettings) -> Result<Self, StoreError> {
        let pool = open::open(&settings).await?;
        open::refuse_part_of_a_copy(&pool).await?;
        Self::on(pool, &settings).await
    }

    /// The same for a database that is only looked at, as evidence is: nothing in it can be changed,
    /// and it is not upgraded.
    ///
    /// # Errors
    /// If it is of another version, too.
    pub async fn look(settings: PostgresSettings) -> Result<Self, StoreError> {
        let pool = open::look(&settings).await?;
        Self::on(pool, &settings).await
    }

    /// The store on a database that is open.
    pub(crate) async fn on(pool: PgPool, settings: &PostgresSettings) -> Result<Self, StoreError> {
        let of_writers = open::of_writers(settings, &pool).await?;
        let ids = sqlx::query_scalar("SELECT gen_random_uuid() FROM generate_series(1, $1)")
            .bind(i64::from(settings.writers()))
            .fetch_all(&pool)
            .await
            .map_err(Fault::from)?;
        let (writes, waiting) = channel(settings.bounds);
        let statistics = Statistics::new(pool.clone());
        let writers = Mutex::new(Some(writer::start(&of_writers, &statistics, waiting, ids)));
        let remembered = Arc::new(Remembered::for_a_while(settings.remembers_connections_for));
        Ok(Self { pool, of_writers, writes, remembered, writers })
    }

    /// Refuses new writes, finishes those that wait, and closes the connections. A second call does
    /// nothing.
    pub async fn close(&self) {
        let writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.writes.close().await;
        for writer in writers.into_iter().flatten() {
            if writer.await.is_err() {
                tracing::error!("a writer ended badly");
            }
        }
        self.of_writers.close().await;
        self.pool.close().await;
    }

    /// What time it is for the server: the same for all processes.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn time(&self) -> Result<Timestamp, StoreError> {
        let asked = on_a_live_one(&self.pool, || {
            sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
                .fetch_one(&self.pool)
        });
        Ok(Timestamp(asked.await?))
    }

    /// Has the server count the tables that are four times as large as it believes, as the store does by
    /// itself while it writes: what is planned afterwards fits them. Gives how many there were.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn count_grown_tables(&self) -> Result<usize, StoreError> {
        Ok(statistics::refresh(&self.pool).await?)
    }

    /// All tenants.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        self.read_as_host(async |tx| set_back::tenants(tx).await).await
    }

    /// True once [`PostgresStore::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    /// Runs queries about one tenant, on one state of the database.
    async fn read<T>(
        &self,
        tenant: TenantId,
        queries: impl AsyncFnOnce(&mut TenantTx<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let mut tx = Tx::of_tenant(&self.pool, Kind::Read, tenant).await?;
        let answer = queries(&mut tx.began_as(tenant)).await?;
        tx.commit().await?;
        Ok(answer)
    }

    /// Runs queries of the host's, on one state of the database.
    async fn read_as_host<T>(
        &self,
        queries: impl AsyncFnOnce(&mut HostTx<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let mut tx = Tx::of_host(&self.pool, Kind::Read).await?;
        let answer = queries(&mut tx.began_as_host()).await?;
        tx.commit().await?;
        Ok(answer)
    }
}
