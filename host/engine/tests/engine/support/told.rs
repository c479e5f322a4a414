//! Alerts as they were sent.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use tombolo_core::ports::alert::{Alert, Alerts};

use super::eventually;

/// Takes alerts, unless it is told to refuse them.
#[derive(Default)]
pub struct Told {
    taken: Mutex<Vec<Alert>>,
    refuses: AtomicBool,
    refused: AtomicUsize,
}

impl Told {
    /// From now on nothing is taken.
    pub fn go_down(&self) {
        self.refuses.store(true, Ordering::SeqCst);
    }

    /// From now on everything is taken.
    pub fn come_up(&self) {
        self.refuses.store(false, Ordering::SeqCst);
    }

    /// Those that were taken so far.
    pub fn taken(&self) -> Vec<Alert> {
        self.taken.lock().unwrap().clone()
    }

    /// The alerts, once there are so many.
    pub async fn once(&self, wanted: usize) -> Vec<Alert> {
        let what = format!("{wanted} alerts");
        eventually(&what, async || Some(self.taken()).filter(|taken| taken.len() >= wanted)).await
    }

    /// Waits until so many were refused.
    pub async fn refused(&self, wanted: usize) {
        let refused = || self.refused.load(Ordering::SeqCst) >= wanted;
        eventually("alerts that are refused", async || refused().then_some(())).await;
    }
}

#[async_trait]
impl Alerts for Told {
    async fn send(&self, alert: &Alert) -> Result<(), String> {
        if self.refuses.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err("nobody is there".into());
        }
        self.taken.lock().unwrap().push(alert.clone());
        Ok(())
    }
}
