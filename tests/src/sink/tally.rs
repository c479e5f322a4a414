//! What a sink keeps of the calls: counters, and fixed-size hashes to find what came twice.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::Notify;

/// The most ids, and the most keys, of which a sink knows whether they came before.
pub const MAX_REMEMBERED: usize = 8_000_000;

/// The most arrivals a sink keeps.
pub const MAX_ARRIVALS: usize = 4_000_000;

/// What a sink keeps of each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recording {
    /// Only how many there were.
    Count,
    /// Also which ids and idempotency keys came before: 8 bytes of each.
    Duplicates,
    /// Also when each id came.
    Arrivals,
}

/// A sink's figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkCounts {
    /// All calls.
    pub calls: u64,
    /// Different ids in the bodies' `id`.
    pub distinct_ids: u64,
    /// Calls whose id had come before.
    pub repeated_ids: u64,
    /// Different idempotency keys.
    pub distinct_keys: u64,
    /// Calls whose idempotency key had come before.
    pub repeated_keys: u64,
    /// Calls of which there was no room to remember something; if it is not 0, the counts of what
    /// came twice are too low.
    pub forgotten: u64,
}

/// When one call came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The body's `id` as JSON text; empty if there is none.
    pub id: Box<str>,
    /// In microseconds since 1970, so that other processes can compare it.
    pub at_unix_us: i64,
}

#[derive(Debug, Default)]
struct Seen {
    ids: HashSet<u64>,
    keys: HashSet<u64>,
    counts: SinkCounts,
    arrivals: Vec<Arrival>,
}

/// The record of one sink.
#[derive(Debug)]
pub(super) struct Tally {
    pub recording: Recording,
    calls: AtomicU64,
    seen: Mutex<Seen>,
    changed: Notify,
}

#[derive(Deserialize)]
struct WithId<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
}

impl Tally {
    pub fn new(recording: Recording) -> Self {
        Self { recording, calls: AtomicU64::new(0), seen: Mutex::default(), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one call and keeps of it what is to be kept.
    pub fn record(&self, key: Option<&[u8]>, body: &[u8]) {
        if self.recording >= Recording::Duplicates {
            let id = serde_json::from_slice::<WithId>(body).ok().map(|with| with.id.get());
            self.remember(id, key);
        }
        self.calls.fetch_add(1, Ordering::Release);
        self.changed.notify_waiters();
    }

    fn remember(&self, id: Option<&str>, key: Option<&[u8]>) {
        let mut seen = self.lock();
        let Seen { ids, keys, counts, arrivals } = &mut *seen;
        let mut room = true;
        if let Some(id) = id {
            room &= note(ids, id.as_bytes(), &mut counts.distinct_ids, &mut counts.repeated_ids);
        }
        if let Some(key) = key {
            room &= note(keys, key, &mut counts.distinct_keys, &mut counts.repeated_keys);
        }
        if self.recording == Recording::Arrivals {
            if arrivals.len() < MAX_ARRIVALS {
                let at_unix_us = jiff::Timestamp::now().as_microsecond();
                arrivals.push(Arrival { id: id.unwrap_or_default().into(), at_unix_us });
            } else {
                room = false;
            }
        }
        counts.forgotten += u64::from(!room);
    }

    pub fn counts(&self) -> SinkCounts {
        let calls = self.calls.load(Ordering::Acquire);
        SinkCounts { calls, ..self.lock().counts }
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.lock().arrivals.clone()
    }

    pub fn reset(&self) {
        *self.lock() = Seen::default();
        self.calls.store(0, Ordering::Release);
    }

    /// Waits, without a limit, until this many calls have come.
    pub async fn until(&self, calls: u64) -> SinkCounts {
        loop {
            // Registered before looking, so that no call between the two is lost.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let counts = self.counts();
            if counts.calls >= calls {
                return counts;
            }
            changed.await;
        }
    }
}

/// Counts a value as new or as repeated; false if there is no room to tell.
fn note(seen: &mut HashSet<u64>, value: &[u8], distinct: &mut u64, repeated: &mut u64) -> bool {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    let hash = hasher.finish();
    if seen.contains(&hash) {
        *repeated += 1;
        return true;
    }
    if seen.len() >= MAX_REMEMBERED {
        return false;
    }
    seen.insert(hash);
    *distinct += 1;
    true
}
