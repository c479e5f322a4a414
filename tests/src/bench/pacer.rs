//! Requests at a fixed rate, whatever the server does: a thread that gives out one permit at each
//! due time. A timer of the runtime would be late by up to a millisecond.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// The rate and what is due.
#[derive(Debug)]
pub struct Pacer {
    start: Instant,
    interval: Duration,
    count: u64,
    taken: AtomicU64,
    due: Semaphore,
}

impl Pacer {
    /// From now on for so long; every due time is kept even if nobody is free to send.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn start(per_second: u32, duration: Duration) -> std::io::Result<Arc<Self>> {
        let interval = Duration::from_secs(1) / per_second.max(1);
        let count = duration.as_nanos() / interval.as_nanos().max(1);
        let pacer = Arc::new(Self {
            start: Instant::now(),
            interval,
            count: u64::try_from(count).unwrap_or(u64::MAX),
            taken: AtomicU64::new(0),
            due: Semaphore::new(0),
        });
        let pacing = Arc::clone(&pacer);
        std::thread::Builder::new().name("pacer".to_owned()).spawn(move || pacing.run())?;
        Ok(pacer)
    }

    fn run(&self) {
        for number in 0..self.count {
            let wait = self.due_at(number).saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
            self.due.add_permits(1);
        }
    }

    fn due_at(&self, number: u64) -> Instant {
        let nanos = u128::from(number) * self.interval.as_nanos();
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Waits for the next request that is due, and says when it was. None at the end.
    pub async fn next(&self) -> Option<Instant> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        if number >= self.count {
            return None;
        }
        self.due.acquire().await.ok()?.forget();
        Some(self.due_at(number))
    }
}
