//! Instances that are kept for the next call: bounded, and never shared between tenants, workflows
//! or versions of a workflow.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tombolo_core::id::{ContentHash, TenantId, WorkflowId};

use crate::settings::WarmBounds;

/// What two calls must have in common to share an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct WarmKey {
    pub(crate) component: ContentHash,
    pub(crate) tenant: TenantId,
    pub(crate) workflow: WorkflowId,
    pub(crate) version: u32,
}

/// Idle instances of type `I`.
pub(crate) struct WarmPool<I> {
    bounds: WarmBounds,
    idle: Mutex<Idle<I>>,
}

struct Idle<I> {
    by_key: HashMap<WarmKey, Vec<Entry<I>>>,
    /// Every idle instance, the one unused for longest first. Entries whose number is gone are
    /// stale.
    order: VecDeque<(u64, WarmKey)>,
    count: usize,
    next: u64,
}

struct Entry<I> {
    number: u64,
    since: Instant,
    instance: I,
}

impl<I> WarmPool<I> {
    pub(crate) fn new(bounds: WarmBounds) -> Self {
        let idle = Idle { by_key: HashMap::new(), order: VecDeque::new(), count: 0, next: 0 };
        Self { bounds, idle: Mutex::new(idle) }
    }

    /// True if an instance in this condition may be kept.
    pub(crate) fn keeps(&self, calls: u32, memory_bytes: usize) -> bool {
        self.bounds.instances > 0
            && calls < self.bounds.calls
            && memory_bytes <= self.bounds.memory_bytes
    }

    /// The instance of this key that was used last.
    pub(crate) fn take(&self, key: &WarmKey, now: Instant) -> Option<I> {
        let (taken, expired) = self.with(|idle| {
            let expired = idle.expire(now, Duration::from_millis(self.bounds.idle_ms));
            (idle.pop(key), expired)
        });
        // Outside the lock: dropping an instance gives memory back to the system.
        drop(expired);
        taken
    }

    /// Keeps an instance, in place of the one unused for longest if there are too many.
    pub(crate) fn put(&self, key: WarmKey, instance: I, now: Instant) {
        let limit = usize::try_from(self.bounds.instances).unwrap_or(usize::MAX);
        let gone = self.with(|idle| {
            let mut gone = idle.expire(now, Duration::from_millis(self.bounds.idle_ms));
            while idle.count >= limit {
                match idle.oldest() {
                    Some(instance) => gone.push(instance),
                    None => break,
                }
            }
            idle.push(key, instance, now);
            gone
        });
        drop(gone);
    }

    /// How many are idle.
    pub(crate) fn len(&self) -> usize {
        self.with(|idle| idle.count)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Idle<I>) -> T) -> T {
        f(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<I> Idle<I> {
    fn push(&mut self, key: WarmKey, instance: I, since: Instant) {
        let number = self.next;
        self.next += 1;
        self.count += 1;
        self.by_key.entry(key).or_default().push(Entry { number, since, instance });
        self.order.push_back((number, key));
        // Instances that were taken leave their place in the order behind.
        if self.order.len() > 2 * self.count + 16 {
            let by_key = &self.by_key;
            self.order.retain(|(number, key)| {
                by_key.get(key).is_some_and(|entries| entries.iter().any(|e| e.number == *number))
            });
        }
    }

    fn pop(&mut self, key: &WarmKey) -> Option<I> {
        let entries = self.by_key.get_mut(key)?;
        let entry = entries.pop()?;
        if entries.is_empty() {
            self.by_key.remove(key);
        }
        self.count -= 1;
        Some(entry.instance)
    }

    fn remove(&mut self, number: u64, key: &WarmKey) -> Option<I> {
        let entries = self.by_key.get_mut(key)?;
        let at = entries.iter().position(|entry| entry.number == number)?;
        let entry = entries.remove(at);
        if entries.is_empty() {
            self.by_key.remove(key);
        }
        self.count -= 1;
        Some(entry.instance)
    }

    /// The instance unused for longest.
    fn oldest(&mut self) -> Option<I> {
        while let Some((number, key)) = self.order.pop_front() {
            if let Some(instance) = self.remove(number, &key) {
                return Some(instance);
            }
        }
        None
    }

    /// All instances that have been idle for too long.
    fn expire(&mut self, now: Instant, idle: Duration) -> Vec<I> {
        let mut expired = Vec::new();
        while let Some((number, key)) = self.order.front().copied() {
            let since = self
                .by_key
                .get(&key)
                .and_then(|entries| entries.iter().find(|entry| entry.number == number))
                .map(|entry| entry.since);
            match since {
                Some(since) if now.saturating_duration_since(since) < idle => break,
                _ => {
                    self.order.pop_front();
                    expired.extend(self.remove(number, &key));
                }
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn key(tenant: u128, version: u32) -> WarmKey {
        WarmKey {
            component: ContentHash([0; 32]),
            tenant: TenantId(Uuid::from_u128(tenant)),
            workflow: WorkflowId(Uuid::from_u128(1)),
            version,
        }
    }

    fn pool(instances: u32) -> WarmPool<&'static str> {
        WarmPool::new(WarmBounds { instances, calls: 3, memory_bytes: 10, idle_ms: 1_000 })
    }

    #[test]
    fn an_instance_stays_with_its_tenant_and_version() {
        let (pool, now) = (pool(4), Instant::now());
        pool.put(key(1, 1), "a", now);
        assert_eq!(pool.take(&key(2, 1), now), None);
        assert_eq!(pool.take(&key(1, 2), now), None);
        assert_eq!(pool.take(&key(1, 1), now), Some("a"));
        assert_eq!(pool.take(&key(1, 1), now), None);
    }

    #[test]
    fn the_one_unused_for_longest_makes_room() {
        let (pool, now) = (pool(2), Instant::now());
        pool.put(key(1, 1), "a", now);
        pool.put(key(2, 1), "b", now);
        assert_eq!(pool.take(&key(1, 1), now), Some("a"));
        pool.put(key(1, 1), "a", now);
        pool.put(key(3, 1), "c", now);
        assert_eq!(pool.len(), 2);
        assert_eq!(pool.take(&key(2, 1), now), None);
        assert_eq!(pool.take(&key(1, 1), now), Some("a"));
    }

    #[test]
    fn idle_instances_expire() {
        let (pool, now) = (pool(4), Instant::now());
        pool.put(key(1, 1), "a", now);
        assert_eq!(pool.take(&key(1, 1), now + Duration::from_secs(1)), None);
        assert_eq!(pool.len(), 0);
    }

    #[test]
    fn order_is_bounded_by_what_is_kept() {
        let (pool, now) = (pool(4), Instant::now());
        for _ in 0..1_000 {
            pool.put(key(1, 1), "a", now);
            pool.take(&key(1, 1), now);
        }
        assert!(pool.with(|idle| idle.order.len()) < 40);
    }

    #[test]
    fn a_worn_or_grown_instance_is_not_kept() {
        assert!(pool(1).keeps(2, 10));
        assert!(!pool(1).keeps(3, 10));
        assert!(!pool(1).keeps(2, 11));
        assert!(!pool(0).keeps(0, 0));
    }
}
