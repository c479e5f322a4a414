//! The channel between the callers and the writer, bounded in writes and in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tombolo_core::ports::store::StoreError;

use super::command::{Command, Pending};
use super::{Batch, Bounds};

/// Makes the channel.
pub(crate) fn channel(bounds: Bounds) -> (Writes, Waiting) {
    let (sender, receiver) = mpsc::channel(bounds.waiting.max(1));
    let bytes = Arc::new(AtomicUsize::new(0));
    let writes = Writes { sender, bytes: bytes.clone(), bounds };
    let waiting = Waiting { receiver, bytes, bounds, left: None };
    (writes, waiting)
}

/// The callers' end.
#[derive(Debug, Clone)]
pub(crate) struct Writes {
    sender: mpsc::Sender<Waits>,
    bytes: Arc<AtomicUsize>,
    bounds: Bounds,
}

/// What comes through the channel.
#[derive(Debug)]
enum Waits {
    /// A write with its size in bytes, counted once.
    Write(Command, usize),
    /// The last thing to come.
    Close,
}

impl Writes {
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
pub(crate) struct Waiting {
    receiver: mpsc::Receiver<Waits>,
    bytes: Arc<AtomicUsize>,
    bounds: Bounds,
    /// Did not fit into the batch before.
    left: Option<(Command, usize)>,
}

impl Waiting {
    /// The next batch: waits for one write, then takes whatever waits beside it, up to the bounds.
    /// None once the channel is closed and empty. Blocks the thread.
    pub(crate) fn next(&mut self) -> Option<Batch> {
        let first = match self.left.take() {
            Some(left) => left,
            None => loop {
                let waits = self.receiver.blocking_recv()?;
                if let Some(first) = self.write(waits) {
                    break first;
                }
            },
        };
        let mut batch = Batch::default();
        let (mut rows, mut bytes) = (first.0.rows(), first.1);
        self.take(first, &mut batch);
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
            self.take(next, &mut batch);
        }
        Some(batch)
    }

    /// The write that came, if it is one.
    fn write(&mut self, waits: Waits) -> Option<(Command, usize)> {
        match waits {
            Waits::Write(command, bytes) => Some((command, bytes)),
            Waits::Close => {
                self.receiver.close();
                None
            }
        }
    }

    fn take(&self, (command, bytes): (Command, usize), batch: &mut Batch) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        batch.push(command);
    }
}
