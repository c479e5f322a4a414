//! How many calls are under way at once, over all hosts and to each. Waits; never refuses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::host_port::HostPort;
use crate::settings::EgressSettings;

/// Hosts remembered before those without a call are forgotten.
const SWEEP_ABOVE: usize = 1_024;

/// Lets calls through, so many at a time.
pub(crate) struct Turnstile {
    all: Arc<Semaphore>,
    per_host: usize,
    hosts: Mutex<HashMap<HostPort, Weak<Semaphore>>>,
}

/// The right to make one call, given back when dropped.
pub(crate) struct Turn {
    _host: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Turnstile {
    pub fn new(settings: &EgressSettings) -> Self {
        Self {
            all: Arc::new(Semaphore::new(settings.max_calls.get())),
            per_host: settings.max_calls_per_host.get(),
            hosts: Mutex::default(),
        }
    }

    /// Waits for a turn. First at the host's own gate, so that those who wait for a slow host do
    /// not hold up calls to others.
    pub async fn enter(&self, place: &HostPort) -> Turn {
        let host = self.gate(place).acquire_owned().await;
        let all = self.all.clone().acquire_owned().await;
        Turn {
            _host: host.expect("the gate of a host is never closed"),
            _all: all.expect("the gate of all calls is never closed"),
        }
    }

    fn gate(&self, place: &HostPort) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = hosts.get(place).and_then(Weak::upgrade) {
            return gate;
        }
        if hosts.len() >= SWEEP_ABOVE {
            hosts.retain(|_, gate| gate.strong_count() > 0);
        }
        let gate = Arc::new(Semaphore::new(self.per_host));
        hosts.insert(place.clone(), Arc::downgrade(&gate));
        gate
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn turnstile(all: usize, per_host: usize) -> Turnstile {
        Turnstile::new(&EgressSettings {
            max_calls: all.try_into().unwrap(),
            max_calls_per_host: per_host.try_into().unwrap(),
            ..EgressSettings::default()
        })
    }

    fn place(text: &str) -> HostPort {
        text.parse().unwrap()
    }

    #[test]
    fn a_busy_host_holds_up_only_itself() {
        let turnstile = turnstile(2, 1);
        let (a, b, c) = (place("a:80"), place("b:80"), place("c:80"));
        let first = turnstile.enter(&a).now_or_never().unwrap();
        let mut waits = Box::pin(turnstile.enter(&a));
        assert!(waits.as_mut().now_or_never().is_none(), "one call to a at a time");
        let other = turnstile.enter(&b).now_or_never().unwrap();
        assert!(turnstile.enter(&c).now_or_never().is_none(), "two calls in all");
        drop(other);
        drop(first);
        assert!(waits.as_mut().now_or_never().is_some());
    }

    #[test]
    fn hosts_without_calls_are_forgotten() {
        let turnstile = turnstile(10, 1);
        let kept = turnstile.enter(&place("kept:80")).now_or_never().unwrap();
        for number in 0..5_000 {
            turnstile.enter(&place(&format!("host{number}:80"))).now_or_never().unwrap();
        }
        assert!(turnstile.hosts.lock().unwrap().len() <= SWEEP_ABOVE);
        assert!(turnstile.enter(&place("kept:80")).now_or_never().is_none(), "still counted");
        drop(kept);
    }
}
