//! The one writer: a thread that takes whatever waits, writes it in one transaction, and answers
//! all. No timer: while one transaction is flushed, the next batch gathers.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rand::RngCore;
use tokio::sync::{mpsc, oneshot};
use uuid::{Builder, Uuid};

use crate::sqlite::{Database, Failed, Statement, Value};

/// Requests that may wait.
const MAX_WAITING: usize = 4096;

/// Requests in one transaction.
const MAX_BATCH: usize = 1024;

/// Tables of the shape that a store of runs has: what came in, what was started, what it did.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS event (id BLOB PRIMARY KEY, payload BLOB NOT NULL,
        received_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS run (id BLOB PRIMARY KEY, event_id BLOB NOT NULL, state TEXT NOT NULL,
        created_at INTEGER NOT NULL, ended_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS step (run_id BLOB NOT NULL, node INTEGER NOT NULL, state TEXT NOT NULL,
        output BLOB NOT NULL, ended_at INTEGER NOT NULL, PRIMARY KEY (run_id, node))
        STRICT, WITHOUT ROWID;";

struct Request {
    body: Bytes,
    done: oneshot::Sender<()>,
}

/// The callers' end. Cheap to clone.
#[derive(Clone)]
pub struct Writer(mpsc::Sender<Request>);

impl Writer {
    /// Makes the tables and starts the thread, which ends with the last caller.
    ///
    /// # Errors
    /// If the database or the thread cannot be had.
    pub fn start(database: Database, steps: u32) -> anyhow::Result<Self> {
        database.run(SCHEMA)?;
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            if let Err(error) = serve(&database, steps, receiver) {
                eprintln!("the writer ended: {error}");
            }
        })?;
        Ok(Self(sender))
    }

    /// Returns when the body is durable; None if it will not be.
    pub async fn write(&self, body: Bytes) -> Option<()> {
        let (done, is_done) = oneshot::channel();
        self.0.send(Request { body, done }).await.ok()?;
        is_done.await.ok()
    }
}

fn serve(
    database: &Database,
    steps: u32,
    mut receiver: mpsc::Receiver<Request>,
) -> Result<(), Failed> {
    let mut statements = Statements::prepare(database)?;
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while receiver.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
        statements.begin.run(&[])?;
        for request in &batch {
            statements.write(&request.body, steps)?;
        }
        statements.commit.run(&[])?;
        for request in batch.drain(..) {
            // Whoever has stopped waiting needs no answer.
            let _ = request.done.send(());
        }
    }
    Ok(())
}

struct Statements<'d> {
    begin: Statement<'d>,
    event: Statement<'d>,
    run: Statement<'d>,
    step: Statement<'d>,
    commit: Statement<'d>,
}

impl<'d> Statements<'d> {
    fn prepare(database: &'d Database) -> Result<Self, Failed> {
        Ok(Self {
            begin: database.prepare("BEGIN IMMEDIATE")?,
            event: database.prepare("INSERT INTO event VALUES (?, ?, ?)")?,
            run: database.prepare("INSERT INTO run VALUES (?, ?, ?, ?, ?)")?,
            step: database.prepare("INSERT INTO step VALUES (?, ?, ?, ?, ?)")?,
            commit: database.prepare("COMMIT")?,
        })
    }

    /// The rows of one request: the body stands in the event's row and in every step's.
    fn write(&mut self, body: &[u8], steps: u32) -> Result<(), Failed> {
        let now = now_ms();
        let (event, run) = (new_id(now), new_id(now));
        let (event, run) = (event.as_bytes(), run.as_bytes());
        let ended = Value::Text("succeeded");
        let now = Value::Number(now);
        self.event.run(&[Value::Bytes(event), Value::Bytes(body), now])?;
        self.run.run(&[Value::Bytes(run), Value::Bytes(event), ended, now, now])?;
        for node in 0..steps {
            let node = Value::Number(node.into());
            self.step.run(&[Value::Bytes(run), node, ended, Value::Bytes(body), now])?;
        }
        Ok(())
    }
}

/// In the order of time, as the ids of runs are.
fn new_id(now_ms: i64) -> Uuid {
    let mut random = [0; 10];
    rand::rng().fill_bytes(&mut random);
    Builder::from_unix_timestamp_millis(u64::try_from(now_ms).unwrap_or(0), &random).into_uuid()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
