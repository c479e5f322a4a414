//! The store on PostgreSQL.

mod access;
mod any;
mod catalog;
mod claim_rows;
mod columns;
mod error;
mod housekeeping;
mod keep;
mod letters;
mod packs;
mod reading;
mod run_log_rows;
mod scope;
mod text;

use sqlx::postgres::PgPool;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::StoreError;

use self::error::Fault;
use self::scope::{HostTx, Kind, TenantTx, Tx};

/// The store on a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    pool: PgPool,
}

impl PostgresStore {
    /// Runs queries about a tenant's rows on one state of the database.
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

    /// Runs queries of the host on one state of the database.
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
