//! The one writer: a thread with a connection of its own. A batch is one transaction, and is
//! answered after its commit.
//!
//! It speaks to SQLite through `rusqlite` and not through sqlx, whose connection is a thread that
//! every statement travels to and back: measured, more than half the processor time of a write.

mod accept;
mod cancel;
mod claim;
mod payload;
mod rare;
mod renew;
mod settle;
mod state;

use std::thread;

use rusqlite::Connection;
use tokio::sync::oneshot;
use tombolo_core::ports::store::StoreError;

use super::error::Fault;
use super::open::Place;
use crate::group::{Batch, Waiting};

/// Starts the thread, and waits until it has opened the file. The receiver tells when it has ended.
pub(super) async fn start(
    place: Place,
    waiting: Waiting,
) -> Result<oneshot::Receiver<()>, StoreError> {
    let (ready, opened) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let run = move || {
        match place.connect() {
            Ok(mut connection) => {
                // Whoever opens the store waits for it, or has given up.
                let _ = ready.send(Ok(()));
                write_all(&mut connection, waiting);
                finish(connection);
            }
            Err(fault) => {
                let _ = ready.send(Err(StoreError::from(fault)));
            }
        }
        let _ = end.send(());
    };
    thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(run)
        .map_err(|error| StoreError::Database(format!("no thread for the writer: {error}")))?;
    opened
        .await
        .unwrap_or_else(|_| Err(StoreError::Database("the writer did not start".to_owned())))?;
    Ok(ended)
}

/// Writes batches until the channel is closed and empty.
fn write_all(connection: &mut Connection, mut waiting: Waiting) {
    while let Some(batch) = waiting.next() {
        write(connection, batch);
    }
}

/// Writes a batch and answers everyone in it.
fn write(connection: &mut Connection, mut batch: Batch) {
    match transaction(connection, &mut batch) {
        Ok(()) => batch.answer(),
        Err(fault) if batch.len() > 1 && fault.blames_the_write() => {
            write_apart(connection, batch.split());
        }
        Err(fault) => batch.fail(&fault.into()),
    }
}

fn transaction(connection: &mut Connection, batch: &mut Batch) -> Result<(), Fault> {
    in_transaction(connection, |connection| apply(connection, batch))
}

/// Everything or nothing. After some failures SQLite has rolled back by itself; the answer to a
/// rollback too many is of no interest.
fn in_transaction(
    connection: &mut Connection,
    write: impl FnOnce(&Connection) -> Result<(), Fault>,
) -> Result<(), Fault> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let written = write(connection)
        .and_then(|()| Ok(connection.prepare_cached("COMMIT")?.execute([]).map(drop)?));
    if written.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    written
}

/// The slow way, after a write has failed: each write behind a savepoint, so that a bad one fails
/// alone. Still one transaction and one flush.
fn write_apart(connection: &mut Connection, mut singles: Vec<Batch>) {
    let mut failures: Vec<Option<StoreError>> = Vec::with_capacity(singles.len());
    let written = in_transaction(connection, |connection| {
        for single in &mut singles {
            failures.push(write_behind_savepoint(connection, single)?);
        }
        Ok(())
    });
    match written {
        Ok(()) => {
            for (single, failure) in singles.into_iter().zip(failures) {
                match failure {
                    None => single.answer(),
                    Some(error) => single.fail(&error),
                }
            }
        }
        Err(fault) => {
            let error = fault.into();
            singles.into_iter().for_each(|single| single.fail(&error));
        }
    }
}

fn write_behind_savepoint(
    connection: &Connection,
    single: &mut Batch,
) -> Result<Option<StoreError>, Fault> {
    connection.execute_batch("SAVEPOINT one")?;
    let failure = match apply(connection, single) {
        Ok(()) => None,
        Err(fault) if fault.blames_the_write() => {
            connection.execute_batch("ROLLBACK TO one")?;
            Some(fault.into())
        }
        Err(fault) => return Err(fault),
    };
    connection.execute_batch("RELEASE one")?;
    Ok(failure)
}

/// All writes of a batch, kind by kind. Leases are renewed before results are written, so that a
/// run that ends in this batch is not reported lost; claims come last, so that they see what was
/// parked.
fn apply(connection: &Connection, batch: &mut Batch) -> Result<(), Fault> {
    for write in &mut batch.rare {
        rare::apply(connection, write)?;
    }
    for pending in &mut batch.accepts {
        let accepted = accept::apply(connection, &pending.ask)?;
        pending.set(Ok(accepted));
    }
    for pending in &mut batch.renews {
        let lost = renew::apply(connection, &pending.ask)?;
        pending.set(Ok(lost));
    }
    for pending in &mut batch.settles {
        let outcome = settle::apply(connection, &pending.ask)?;
        pending.set(outcome);
    }
    for pending in &mut batch.cancels {
        let met = cancel::apply(connection, &pending.ask)?;
        pending.set(Ok(met));
    }
    for pending in &mut batch.claims {
        let claimed = claim::apply(connection, &pending.ask)?;
        pending.set(Ok(claimed));
    }
    Ok(())
}

/// Copies the log into the file.
fn finish(connection: Connection) {
    let optimized = connection.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)");
    let closed = connection.close().map_err(|(_, error)| error);
    if let Err(error) = optimized.and(closed) {
        tracing::warn!(%error, "closing the database");
    }
}
