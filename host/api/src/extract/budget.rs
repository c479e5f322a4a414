//! How much memory the bodies of strangers take together. Knows sizes, never a body.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes in one permit: fine enough for small bodies.
const PERMIT_BYTES: usize = 1024;

/// What is free for bodies.
#[derive(Debug)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    total_bytes: usize,
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    /// None for a body that has no budget: its sender showed a token.
    budget: Option<(Arc<Semaphore>, usize)>,
    taken: Option<OwnedSemaphorePermit>,
}

/// There is no room for as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted {
    /// The whole budget, in bytes.
    pub total_bytes: usize,
}

impl Budget {
    /// So many bytes for all bodies together.
    pub fn new(total_bytes: usize) -> Self {
        let permits = total_bytes.div_ceil(PERMIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(permits)), total_bytes }
    }

    /// A lease of nothing, to grow.
    pub fn lease(&self) -> Lease {
        Lease { budget: Some((self.free.clone(), self.total_bytes)), taken: None }
    }
}

impl Lease {
    /// A lease that is never refused.
    pub fn unbounded() -> Self {
        Self { budget: None, taken: None }
    }

    /// Takes what is missing to `bytes` in all. Never waits: those who hold a part of the budget
    /// and wait for more of it would wait for each other.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let Some((free, total_bytes)) = &self.budget else {
            return Ok(());
        };
        let held = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(PERMIT_BYTES).saturating_sub(held);
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let exhausted = Exhausted { total_bytes: *total_bytes };
        let more = free.clone().try_acquire_many_owned(more).map_err(|_| exhausted)?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_leased_is_gone_until_it_is_dropped() {
        let budget = Budget::new(3 * PERMIT_BYTES);
        let exhausted = Err(Exhausted { total_bytes: 3 * PERMIT_BYTES });
        let (mut one, mut other) = (budget.lease(), budget.lease());
        assert_eq!(one.grow_to(PERMIT_BYTES + 1), Ok(()));
        assert_eq!(one.grow_to(2 * PERMIT_BYTES), Ok(()), "the part taken before counts");
        assert_eq!(other.grow_to(2 * PERMIT_BYTES), exhausted);
        assert_eq!(other.grow_to(PERMIT_BYTES), Ok(()), "a refusal takes nothing");
        drop(one);
        assert_eq!(other.grow_to(3 * PERMIT_BYTES), Ok(()));
        assert_eq!(Lease::unbounded().grow_to(usize::MAX), Ok(()));
    }
}
