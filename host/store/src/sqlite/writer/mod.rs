//! The one writer: a thread with a connection of its own. A batch is one transaction, and is
//! answered after its commit.
//!
//! It speaks to SQLite through `rusqlite` and not through sqlx, whose connection is a thread that
//! every statement travels to and back: measured, more than half the processor time of a write.

mod accept;
mod access;
mod audit;
mod cancel;
mod checkpoint;
mod claim;
mod connection;
mod flow;
mod forget;
mod journal;
mod letter;
mod loose;
mod next;
mod open;
mod pack;
mod pause;
mod payload;
mod queue;
mod rare;
mod renew;
mod set_back;
mod settle;
mod signal;
mod state;
mod step;
mod turn;
mod vacuum;

use std::thread;

use rusqlite::Connection;
use tokio::sync::oneshot;
use tombolo_core::ports::store::StoreError;

pub(super) use self::audit::append as append_audit;
use self::checkpoint::Checkpoints;
use super::error::Fault;
use super::open::Place;
use crate::group::{Batch, Command, Waiting};

/// Starts the thread, and waits until it has opened the file. The receiver tells when it has ended.
pub(super) async fn start(
    place: Place,
    waiting: Waiting<Command>,
) -> Result<oneshot::Receiver<()>, StoreError> {
    let (ready, opened) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let run = move || {
        match place.connect() {
            Ok(mut connection) => {
                // Whoever opens the store waits for it, or has given up.
                let _ = ready.send(Ok(()));
                let mut checkpoints = Checkpoints::new(place.checkpoint_pages());
                write_all(&mut connection, &mut checkpoints, waiting);
                optimize(&connection);
                checkpoints.finish(connection);
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
fn write_all(
    connection: &mut Connection,
    checkpoints: &mut Checkpoints,
    mut waiting: Waiting<Command>,
) {
    while let Some(commands) = waiting.next_blocking() {
        write(connection, commands.into_iter().collect());
        // After the answers: nobody waits for it but the next batch.
        checkpoints.run_if_due(connection);
    }
}

/// Writes a batch and answers everyone in it.
fn write(connection: &mut Connection, mut batch: Batch) {
    match transaction(connection, &mut batch) {
        Ok(()) => {
            if batch.frees_room() {
                vacuum::shorten(connection);
            }
            batch.answer();
        }
        Err(fault) if batch.len() > 1 && fault.blames_the_write() => {
            write_apart(connection, batch.split());
        }
        Err(fault) => batch.fail(&fault.into()),
    }
}

fn transaction(connection: &mut Connection, batch: &mut Batch) -> Result<(), Fault> {
    in_transaction(connection, |connection| apply(connection, batch))
}

/// Everything or nothing. A rollback that fails, as on a disk that fails, is tried again before the
/// next transaction, which could not begin inside this one.
fn in_transaction(
    connection: &mut Connection,
    write: impl FnOnce(&Connection) -> Result<(), Fault>,
) -> Result<(), Fault> {
    roll_back(connection)?;
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let written = write(connection)
        .and_then(|()| Ok(connection.prepare_cached("COMMIT")?.execute([]).map(drop)?));
    if written.is_err()
        && let Err(fault) = roll_back(connection)
    {
        // Whoever waits is told why the write failed, not what came of it.
        tracing::error!(error = %StoreError::from(fault), "rolling back");
    }
    written
}

/// Ends a transaction that is open. After some failures SQLite has ended it by itself.
fn roll_back(connection: &Connection) -> Result<(), Fault> {
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    Ok(())
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

/// Lets SQLite look after its statistics.
fn optimize(connection: &Connection) {
    if let Err(error) = connection.execute_batch("PRAGMA optimize") {
        tracing::warn!(%error, "optimizing the database");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(connection: &Connection) -> Vec<i64> {
        let mut statement = connection.prepare("SELECT n FROM kept ORDER BY n").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn write(connection: &mut Connection, sql: &str) -> Result<(), Fault> {
        in_transaction(connection, |connection| Ok(connection.execute_batch(sql)?))
    }

    #[test]
    fn a_transaction_that_was_left_open_is_rolled_back_first() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE kept (n INTEGER PRIMARY KEY)").unwrap();
        connection.execute_batch("BEGIN; INSERT INTO kept VALUES (1)").unwrap();

        write(&mut connection, "INSERT INTO kept VALUES (2)").unwrap();

        assert_eq!(kept(&connection), [2]);
        assert!(connection.is_autocommit());
    }

    #[test]
    fn what_fails_leaves_nothing_and_the_next_goes_through() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE kept (n INTEGER PRIMARY KEY)").unwrap();

        let twice = "INSERT INTO kept VALUES (1); INSERT INTO kept VALUES (1)";
        assert!(write(&mut connection, twice).unwrap_err().blames_the_write());
        // Ends the transaction by itself, so that there is nothing left to roll back.
        let by_itself = "INSERT INTO kept VALUES (1); INSERT OR ROLLBACK INTO kept VALUES (1)";
        assert!(write(&mut connection, by_itself).unwrap_err().blames_the_write());
        write(&mut connection, "INSERT INTO kept VALUES (2)").unwrap();

        assert_eq!(kept(&connection), [2]);
    }
}
