//! How much memory the bodies of all deliveries take together. Knows sizes, never a body.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Bytes in one permit of the budget: fine enough for small bodies, and a semaphore counts far
/// beyond what a machine has.
const PERMIT_BYTES: usize = 1024;

/// What is free for bodies.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    total_bytes: usize,
}

/// There is no room for as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted {
    /// The whole budget.
    pub total_bytes: usize,
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    budget: Budget,
    permits: u32,
}

impl Budget {
    pub fn new(total_bytes: usize) -> Self {
        let permits = total_bytes.div_ceil(PERMIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(permits)), total_bytes }
    }

    /// A lease of nothing, to grow.
    pub fn lease(&self) -> Lease {
        Lease { budget: self.clone(), permits: 0 }
    }

    /// Whether there is room for `bytes` right now. Takes nothing: who only announces a body has
    /// sent none yet, and must not keep out those who do.
    pub fn has_room(&self, bytes: u64) -> Result<(), Exhausted> {
        let free = self.free.available_permits().saturating_mul(PERMIT_BYTES);
        if bytes <= free as u64 { Ok(()) } else { Err(self.exhausted()) }
    }

    fn exhausted(&self) -> Exhausted {
        Exhausted { total_bytes: self.total_bytes }
    }
}

impl Lease {
    /// Takes what is missing to `bytes` in all. Never waits: those who hold a part of the budget
    /// and wait for more of it would wait for each other.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let wanted = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
        let more = wanted.saturating_sub(self.permits);
        let taken = self.budget.free.try_acquire_many(more);
        taken.map_err(|_| self.budget.exhausted())?.forget();
        self.permits += more;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.free.add_permits(self.permits as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_leased_is_gone_until_it_is_dropped() {
        let budget = Budget::new(3 * PERMIT_BYTES);
        let exhausted = Err(Exhausted { total_bytes: 3 * PERMIT_BYTES });
        let mut one = budget.lease();
        let mut other = budget.lease();
        assert_eq!(one.grow_to(PERMIT_BYTES + 1), Ok(()));
        assert_eq!(one.grow_to(2 * PERMIT_BYTES), Ok(()), "the part taken before counts");
        assert_eq!(other.grow_to(2 * PERMIT_BYTES), exhausted);
        assert_eq!(other.grow_to(PERMIT_BYTES), Ok(()), "a refusal takes nothing");
        assert_eq!(budget.has_room(1), exhausted);
        drop(one);
        assert_eq!(budget.has_room(2 * PERMIT_BYTES as u64), Ok(()));
        assert_eq!(other.grow_to(3 * PERMIT_BYTES), Ok(()));
        drop(other);
        assert_eq!(budget.lease().grow_to(3 * PERMIT_BYTES), Ok(()));
    }
}
