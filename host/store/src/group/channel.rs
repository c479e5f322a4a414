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
    let waiting = Waiting { receiver, bytes, bounds, first: None };
    (writes, waiting)
}

/// The callers' end.
#[derive(Debug, Clone)]
pub(crate) struct Writes {
    sender: mpsc::Sender<Weighed>,
    bytes: Arc<AtomicUsize>,
    bounds: Bounds,
}

/// A write with its size, counted once.
#[derive(Debug)]
struct Weighed {
    command: Command,
    bytes: usize,
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

    fn submit(&self, command: Command) -> Result<(), StoreError> {
        let bytes = command.bytes();
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before.saturating_add(bytes) > self.bounds.waiting_bytes {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(self.busy());
        }
        self.sender.try_send(Weighed { command, bytes }).map_err(|refused| {
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
    receiver: mpsc::Receiver<Weighed>,
    bytes: Arc<AtomicUsize>,
    bounds: Bounds,
    /// Did not fit into the batch before.
    first: Option<Weighed>,
}

impl Waiting {
    /// The next batch: waits for one write, then takes whatever waits beside it, up to the bounds.
    /// None once the channel is closed and empty.
    pub(crate) async fn next(&mut self) -> Option<Batch> {
        let first = match self.first.take() {
            Some(first) => first,
            None => self.receiver.recv().await?,
        };
        let mut batch = Batch::default();
        let (mut rows, mut bytes) = (first.command.rows(), first.bytes);
        self.take(first, &mut batch);
        while let Ok(next) = self.receiver.try_recv() {
            rows = rows.saturating_add(next.command.rows());
            bytes = bytes.saturating_add(next.bytes);
            if rows > self.bounds.batch_rows || bytes > self.bounds.batch_bytes {
                self.first = Some(next);
                break;
            }
            self.take(next, &mut batch);
        }
        Some(batch)
    }

    /// Refuses new writes; those that wait already are still given out.
    pub(crate) fn close(&mut self) {
        self.receiver.close();
    }

    fn take(&self, write: Weighed, batch: &mut Batch) {
        self.bytes.fetch_sub(write.bytes, Ordering::Relaxed);
        batch.push(write.command);
    }
}
