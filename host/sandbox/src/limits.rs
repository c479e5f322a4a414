//! What one instance may hold: the sum of its memories and the sum of its tables.
//!
//! A refused growth is remembered, because a guest that runs out of memory ends itself with a trap
//! that says nothing.

use wasmtime::ResourceLimiter;

use crate::engine::{CORE_INSTANCES_PER_COMPONENT, MEMORIES_PER_COMPONENT, TABLES_PER_COMPONENT};

/// Counts memories and tables of one store.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_limit: usize,
    memory: usize,
    last_memory_growth: usize,
    table_limit: usize,
    tables: usize,
    last_table_growth: usize,
    refused: Option<Refused>,
}

/// What a guest wanted more of than it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Memory; the wanted sum in bytes.
    Memory(usize),
    /// Tables; the wanted sum in elements.
    Tables(usize),
}

impl Limiter {
    pub(crate) fn new(memory_limit: usize, table_limit: usize) -> Self {
        Self {
            memory_limit,
            memory: 0,
            last_memory_growth: 0,
            table_limit,
            tables: 0,
            last_table_growth: 0,
            refused: None,
        }
    }

    /// Forgets refusals of the call before; what is held stays counted.
    pub(crate) fn next_call(&mut self, memory_limit: usize) {
        self.memory_limit = memory_limit;
        self.refused = None;
    }

    /// The sum over all memories, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    pub(crate) fn memory_limit(&self) -> usize {
        self.memory_limit
    }

    pub(crate) fn table_limit(&self) -> usize {
        self.table_limit
    }

    /// The last growth that was refused during this call.
    pub(crate) fn refused(&self) -> Option<Refused> {
        self.refused
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let wanted = self.memory.saturating_add(growth);
        if wanted > self.memory_limit || maximum.is_some_and(|maximum| desired > maximum) {
            self.refused = Some(Refused::Memory(wanted));
            return Ok(false);
        }
        self.memory = wanted;
        self.last_memory_growth = growth;
        Ok(true)
    }

    fn memories(&self) -> usize {
        MEMORIES_PER_COMPONENT as usize
    }

    fn tables(&self) -> usize {
        TABLES_PER_COMPONENT as usize
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_PER_COMPONENT as usize
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if self.refused.is_none() {
            tracing::warn!(%error, "a growth of {} bytes failed", self.last_memory_growth);
            self.memory = self.memory.saturating_sub(self.last_memory_growth);
            self.refused = Some(Refused::Memory(self.memory + self.last_memory_growth));
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let wanted = self.tables.saturating_add(growth);
        if wanted > self.table_limit || maximum.is_some_and(|maximum| desired > maximum) {
            self.refused = Some(Refused::Tables(wanted));
            return Ok(false);
        }
        self.tables = wanted;
        self.last_table_growth = growth;
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if self.refused.is_none() {
            tracing::warn!(%error, "a growth of {} table elements failed", self.last_table_growth);
            self.tables = self.tables.saturating_sub(self.last_table_growth);
            self.refused = Some(Refused::Tables(self.tables + self.last_table_growth));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_over_all_memories_counts() {
        let mut limiter = Limiter::new(100, 10);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 40, None).unwrap(), "a second memory fits exactly");
        assert!(!limiter.memory_growing(40, 41, None).unwrap());
        assert_eq!(limiter.refused(), Some(Refused::Memory(101)));
        assert_eq!(limiter.memory(), 100);
    }

    #[test]
    fn a_guest_that_asks_beyond_its_own_maximum_is_not_charged() {
        let mut limiter = Limiter::new(100, 10);
        assert!(!limiter.memory_growing(0, 60, Some(50)).unwrap());
        assert_eq!(limiter.memory(), 0);
        assert!(!limiter.table_growing(0, 11, None).unwrap());
        assert_eq!(limiter.refused(), Some(Refused::Tables(11)));
    }

    #[test]
    fn the_next_call_starts_without_refusals_but_with_what_is_held() {
        let mut limiter = Limiter::new(100, 10);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(60, 200, None).unwrap());
        limiter.next_call(80);
        assert_eq!(limiter.refused(), None);
        assert!(!limiter.memory_growing(60, 90, None).unwrap());
    }
}
