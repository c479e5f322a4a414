//! The channel between the callers and the writer, bounded in writes and in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tombolo_core::ports::store::StoreError;

use super::Bounds;
use super::pending::Pending;

/// A write that waits, as far as the bounds count it.
pub(crate) trait Weighed {
    /// Rows it writes, roughly.
    fn rows(&self) -> usize;

    /// Bytes it holds in memory and writes, roughly.
    fn bytes(&self) -> usize;
}

/// Makes the channel.
pub(crate) fn channel<Command: Weighed>(bounds: Bounds) -> (Writes<Command>, Waiting<Command>) {
    let (sender, receiver) = mpsc::channel(bounds.waiting.max(1));
    let bytes = Arc::new(AtomicUsize::new(0));
    let writes = Writes { sender, bytes: bytes.clone(), bounds };
    let waiting = Waiting { receiver, bytes, bounds, left: None };
    (writes, waiting)
}

/// The callers' end.
#[derive(Debug)]
pub(crate) struct Writes<Command> {
    sender: mpsc::Sender<Waits<Command>>,
    bytes: Arc<AtomicUsize>,
    bounds: Bounds,
}

impl<Command> Clone for Writes<Command> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), bytes: self.bytes.clone(), bounds: self.bounds }
    }
}

/// What comes through the channel.
#[derive(Debug)]
enum Waits<Command> {
    /// A write with its size in bytes, counted once.
    Write(Command, usize),
    /// The last thing to come.
    Close,
}

impl<Command: Weighed> Writes<Command> {
    /// Lets a write wait its turn, and waits for its answer. Refused at once if too much waits.
    ///
    /// A caller that stops waiting takes nothing back: the write goes on.
    pub(crate) async fn write<Ask, Answer>(
        &self,
        ask: Ask,
        command: impl FnOnce(Pending<Ask, Answer>) -> Command,
    ) -> Result<Answer, StoreError> {
        let (pending, answer) = Pending::new(ask);
        self.submit(command(pending))?;
        answer.await.unwrap_or_else(|oneshot::error::RecvError { .. }| Err(stopped()))
    }

    /// Refuses all further writes. Those that wait are still written.
    pub(crate) async fn close(&self) {
        // Nothing to do if the writer has gone already.
        let _ = self.sender.send(Waits::Close).await;
    }

    fn submit(&self, command: Command) -> Result<(), StoreError> {
        let bytes = command.bytes();
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before.saturating_add(bytes) > self.bounds.waiting_bytes {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(self.busy());
        }
        self.sender.try_send(Waits::Write(command, bytes)).map_err(|refused| {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            match refused {
                TrySendError::Full(_) => self.busy(),
                TrySendError::Closed(_) => stopped(),
            }
        })
    }

    fn busy(&self) -> StoreError {
        StoreError::Busy {
            waiting: self.sender.max_capacity() - self.sender.capacity(),
            limit: self.bounds.waiting,
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Database("the store is closed".to_owned())
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct Waiting<Command> {
    receiver: mpsc::Receiver<Waits<Command>>,
    bytes: Arc<AtomicUsize>,
    bounds: Bounds,
    /// Did not fit into the batch before.
    left: Option<(Command, usize)>,
}

impl<Command: Weighed> Waiting<Command> {
    /// The next batch: waits for one write, then takes whatever waits beside it, up to the bounds.
    /// None once the channel is closed and empty.
    pub(crate) async fn next(&mut self) -> Option<Vec<Command>> {
        let first = match self.left.take() {
            Some(left) => left,
            None => loop {
                let waits = self.receiver.recv().await?;
                if let Some(first) = self.write(waits) {
                    break first;
                }
            },
        };
        Some(self.gather(first))
    }

    /// The same for a thread, which it blocks.
    pub(crate) fn next_blocking(&mut self) -> Option<Vec<Command>> {
        let first = match self.left.take() {
            Some(left) => left,
            None => loop {
                let waits = self.receiver.blocking_recv()?;
                if let Some(first) = self.write(waits) {
                    break first;
                }
            },
        };
        Some(self.gather(first))
    }

    fn gather(&mut self, first: (Command, usize)) -> Vec<Command> {
        let (mut rows, mut bytes) = (first.0.rows(), first.1);
        let mut batch = vec![self.take(first)];
        while let Ok(waits) = self.receiver.try_recv() {
            let Some(next) = self.write(waits) else {
                continue;
            };
            rows = rows.saturating_add(next.0.rows());
            bytes = bytes.saturating_add(next.1);
            if rows > self.bounds.batch_rows || bytes > self.bounds.batch_bytes {
                self.left = Some(next);
                break;
            }
            batch.push(self.take(next));
        }
        batch
    }

    /// The write that came, if it is one.
    fn write(&mut self, waits: Waits<Command>) -> Option<(Command, usize)> {
        match waits {
            Waits::Write(command, bytes) => Some((command, bytes)),
            Waits::Close => {
                self.receiver.close();
                None
            }
        }
    }

    fn take(&self, (command, bytes): (Command, usize)) -> Command {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        command
    }
}
