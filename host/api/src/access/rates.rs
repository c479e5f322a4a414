//! So many requests a minute for whoever calls, by token or by person.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tombolo_core::clock::Timestamp;
use tombolo_core::rate::{Meter, Rate};

use super::who::Who;

/// Most callers that are measured at a time. When more are busy at once, all begin anew.
const MAX_METERS: usize = 100_000;

/// The meters of those who called a moment ago.
pub(crate) struct Rates {
    /// None for no bound.
    rate: Option<Rate>,
    meters: Mutex<HashMap<Who, Meter>>,
}

impl Rates {
    pub fn new(rate: Option<Rate>) -> Self {
        Self { rate, meters: Mutex::default() }
    }

    /// The bound, in requests a minute.
    pub fn per_minute(&self) -> u32 {
        self.rate.map_or(u32::MAX, |rate| rate.per_minute.get())
    }

    /// Counts one request.
    ///
    /// # Errors
    /// How long until there is room for one.
    pub fn take(&self, who: &Who, now: Timestamp) -> Result<(), Duration> {
        let Some(rate) = self.rate else { return Ok(()) };
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = meters.get_mut(who) {
            return rate.take(meter, now, 1);
        }
        if meters.len() >= MAX_METERS {
            meters.retain(|_, meter| !rate.is_idle(meter, now));
        }
        if meters.len() >= MAX_METERS {
            meters.clear();
        }
        rate.take(meters.entry(who.clone()).or_default(), now, 1)
    }
}
