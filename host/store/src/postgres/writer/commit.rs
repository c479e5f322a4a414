//! One writer: a batch is one transaction, tried again where it met another one or where the
//! connection is lost.

use std::time::Duration;

use sqlx::postgres::PgPool;
use tokio::time::Instant;
use tombolo_core::ports::store::StoreError;
use uuid::Uuid;

use super::batch::{Batch, Outcomes};
use super::pack::Numbers;
use super::part;
use crate::postgres::error::Fault;
use crate::postgres::retried::MEETINGS;
use crate::postgres::scope::Tx;

/// How long a transaction whose connection is lost is tried again, and how long it is asked what became
/// of it. Whoever waits for it is told then that the database cannot be reached; an attempt that waits
/// for a connection at that time is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause between those.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// A writer with what it needs from batch to batch.
pub(super) struct Writer {
    pool: PgPool,
    id: Uuid,
    /// Counts its transactions.
    batch: i64,
    numbers: Numbers,
}

/// Why a transaction was not made, or may not have been.
enum Failure {
    /// It was not.
    Before(Fault),
    /// The commit had been asked for.
    InCommit(Fault),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Before(fault)
    }
}

impl Writer {
    pub(super) fn new(pool: PgPool, id: Uuid) -> Self {
        Self { pool, id, batch: 0, numbers: Numbers::default() }
    }

    /// Writes a batch and answers everyone in it. Where a write is to blame, halves of the batch are
    /// written apart until it fails alone.
    pub(super) async fn write(&mut self, batch: Batch) {
        let mut batches = vec![batch];
        while let Some(batch) = batches.pop() {
            match self.commit(&batch).await {
                Ok(outcomes) => batch.answer(outcomes),
                Err(fault) if batch.len() > 1 && fault.blames_the_write() => {
                    let (first, second) = batch.halves();
                    batches.extend([second, first]);
                }
                Err(fault) => batch.fail(&StoreError::from(fault)),
            }
        }
    }

    /// Everything or nothing, and it is known which, unless the database stays away ([`Fault::Unknown`]).
    async fn commit(&mut self, batch: &Batch) -> Result<Outcomes, Fault> {
        let (mut meetings, began) = (0, Instant::now());
        loop {
            self.batch += 1;
            let mut outcomes = Outcomes::default();
            let fault = match self.transaction(batch, &mut outcomes).await {
                Ok(()) => return Ok(outcomes),
                Err(Failure::InCommit(fault)) if fault.lost_the_connection() => {
                    match self.was_made().await {
                        Ok(true) => return Ok(outcomes),
                        Ok(false) => fault,
                        Err(fault) => {
                            return Err(Fault::Unknown(StoreError::from(fault).to_string()));
                        }
                    }
                }
                Err(Failure::InCommit(fault) | Failure::Before(fault)) => fault,
            };
            if fault.may_go_again() && meetings < MEETINGS {
                meetings += 1;
            } else if fault.lost_the_connection() && began.elapsed() < PATIENCE {
                tokio::time::sleep(RECONNECT_PAUSE).await;
            } else {
                return Err(fault);
            }
        }
    }

    async fn transaction(&mut self, batch: &Batch, outcomes: &mut Outcomes) -> Result<(), Failure> {
        let mut parts = batch.parts().into_iter();
        let Some((tenant, part)) = parts.next() else { return Ok(()) };
        let mut tx = Tx::of_writer(&self.pool, (self.id, self.batch), tenant).await?;
        part::apply(&mut tx.began_as(tenant), &mut self.numbers, &part, outcomes).await?;
        for (tenant, part) in parts {
            let mut of_tenant = tx.tenant(tenant).await?;
            part::apply(&mut of_tenant, &mut self.numbers, &part, outcomes).await?;
        }
        tx.commit().await.map_err(Failure::InCommit)
    }

    /// True if the last transaction was made, though nobody said so. Waits for it if it is still
    /// under way: it has the row.
    async fn was_made(&self) -> Result<bool, Fault> {
        let began = Instant::now();
        loop {
            let found: Result<Option<i64>, sqlx::Error> =
                sqlx::query_scalar("SELECT batch FROM writer WHERE id = $1 FOR UPDATE")
                    .bind(self.id)
                    .fetch_optional(&self.pool)
                    .await;
            match found.map_err(Fault::from) {
                Ok(found) => return Ok(found == Some(self.batch)),
                Err(fault)
                    if began.elapsed() < PATIENCE
                        && (fault.lost_the_connection() || fault.may_go_again()) =>
                {
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                }
                Err(fault) => return Err(fault),
            }
        }
    }
}
