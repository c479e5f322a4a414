//! The one writer: a batch is one transaction, and is answered after its commit.

use sqlx::{Connection, SqliteConnection};
use tokio::sync::oneshot;
use tombolo_core::ports::store::StoreError;

use super::error::Fault;
use super::{accept, cancel, claim, leases, rare, settle};
use crate::group::{Batch, Waiting};

/// Writes batches until the channel is closed, or until told to; then empties it, copies the log
/// into the file and leaves.
pub(super) async fn run(
    mut connection: SqliteConnection,
    mut waiting: Waiting,
    mut closing: oneshot::Receiver<()>,
) {
    loop {
        let next = tokio::select! {
            next = waiting.next() => next,
            // Both by `close` and by the store's drop.
            _ = &mut closing => break,
        };
        let Some(batch) = next else { break };
        write(&mut connection, batch).await;
    }
    waiting.close();
    while let Some(batch) = waiting.next().await {
        write(&mut connection, batch).await;
    }
    finish(connection).await;
}

/// Writes a batch and answers everyone in it.
async fn write(connection: &mut SqliteConnection, mut batch: Batch) {
    match transaction(connection, &mut batch).await {
        Ok(()) => batch.answer(),
        Err(fault) => {
            roll_back(connection).await;
            if batch.len() > 1 && fault.blames_the_write() {
                write_apart(connection, batch.split()).await;
            } else {
                batch.fail(&fault.into());
            }
        }
    }
}

async fn transaction(connection: &mut SqliteConnection, batch: &mut Batch) -> Result<(), Fault> {
    statement(connection, "BEGIN IMMEDIATE").await?;
    apply(connection, batch).await?;
    statement(connection, "COMMIT").await
}

/// The slow way, after a write has failed: each write behind a savepoint, so that a bad one fails
/// alone. Still one transaction and one flush.
async fn write_apart(connection: &mut SqliteConnection, mut singles: Vec<Batch>) {
    let mut failures: Vec<Option<StoreError>> = Vec::with_capacity(singles.len());
    match apart(connection, &mut singles, &mut failures).await {
        Ok(()) => {
            for (single, failure) in singles.into_iter().zip(failures) {
                match failure {
                    None => single.answer(),
                    Some(error) => single.fail(&error),
                }
            }
        }
        Err(fault) => {
            roll_back(connection).await;
            let error = fault.into();
            for single in singles {
                single.fail(&error);
            }
        }
    }
}

async fn apart(
    connection: &mut SqliteConnection,
    singles: &mut [Batch],
    failures: &mut Vec<Option<StoreError>>,
) -> Result<(), Fault> {
    statement(connection, "BEGIN IMMEDIATE").await?;
    for single in singles {
        statement(connection, "SAVEPOINT one").await?;
        let failure = match apply(connection, single).await {
            Ok(()) => None,
            Err(fault) if fault.blames_the_write() => {
                statement(connection, "ROLLBACK TO one").await?;
                Some(fault.into())
            }
            Err(fault) => return Err(fault),
        };
        statement(connection, "RELEASE one").await?;
        failures.push(failure);
    }
    statement(connection, "COMMIT").await
}

/// All writes of a batch, kind by kind. Leases are renewed before results are written, so that a
/// run that ends in this batch is not reported lost; claims come last, so that they see what was
/// parked.
async fn apply(connection: &mut SqliteConnection, batch: &mut Batch) -> Result<(), Fault> {
    for write in &mut batch.rare {
        rare::apply(connection, write).await?;
    }
    accept::apply(connection, &mut batch.accepts).await?;
    let held = leases::load(connection, &batch.renews, &batch.settles).await?;
    leases::renew(connection, &mut batch.renews, &held).await?;
    settle::apply(connection, &mut batch.settles, held).await?;
    for pending in &mut batch.cancels {
        let outcome = cancel::apply(connection, &pending.ask).await?;
        pending.set(Ok(outcome));
    }
    for pending in &mut batch.claims {
        let claimed = claim::apply(connection, &pending.ask).await?;
        pending.set(Ok(claimed));
    }
    Ok(())
}

/// After most failures SQLite has rolled back by itself, and then says so; that is fine.
async fn roll_back(connection: &mut SqliteConnection) {
    if let Err(Fault::Database(error)) = statement(connection, "ROLLBACK").await {
        tracing::debug!(%error, "nothing to roll back");
    }
}

async fn statement(connection: &mut SqliteConnection, text: &'static str) -> Result<(), Fault> {
    sqlx::query(text).execute(connection).await?;
    Ok(())
}

async fn finish(mut connection: SqliteConnection) {
    for text in ["PRAGMA optimize", "PRAGMA wal_checkpoint(TRUNCATE)"] {
        if let Err(error) = sqlx::query(text).execute(&mut connection).await {
            tracing::warn!(%error, text, "closing the database");
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "closing the database");
    }
}
