//! Slots: how many runs are worked on at the same time, and whose they are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{AcquireError, Notify, OwnedSemaphorePermit, Semaphore};
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::Shares;

/// The slots of a process.
pub(crate) struct Slots {
    permits: Arc<Semaphore>,
    shares: Mutex<Shares>,
    /// Something may be due that was left out because its tenant has its share.
    left_out: AtomicBool,
    /// A slot is free for what was left out.
    pub freed: Notify,
}

/// A slot that is taken; it is free again when this goes.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    tenant: Option<TenantId>,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    /// So many.
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(count)),
            shares: Mutex::new(Shares::new(count)),
            left_out: AtomicBool::new(false),
            freed: Notify::new(),
        })
    }

    /// True while one is free, whoever may have it.
    pub fn any_free(&self) -> bool {
        self.permits.available_permits() > 0
    }

    /// Waits for a free one.
    ///
    /// # Errors
    /// Never: nobody closes them.
    pub async fn wait(self: &Arc<Self>) -> Result<Slot, AcquireError> {
        let permit = self.permits.clone().acquire_owned().await?;
        Ok(self.slot(permit))
    }

    /// Those that are free, so many at most.
    pub fn free(self: &Arc<Self>, most: usize) -> Vec<Slot> {
        let permits = std::iter::from_fn(|| self.permits.clone().try_acquire_owned().ok());
        permits.take(most).map(|permit| self.slot(permit)).collect()
    }

    /// A free one for a run of this tenant. Where it is one of several, only if it may have one more.
    pub fn free_for(self: &Arc<Self>, tenant: TenantId, one_of_several: bool) -> Option<Slot> {
        let permit = self.permits.clone().try_acquire_owned().ok()?;
        let mut shares = self.shares();
        if one_of_several && !shares.has_room_for(tenant) {
            return None;
        }
        shares.take(tenant);
        Some(Slot { slots: self.clone(), tenant: Some(tenant), _permit: permit })
    }

    /// Who has how many. From now on the end of a run is told to whoever waits for [`Slots::freed`].
    pub fn shared(&self) -> Shares {
        self.left_out.store(true, Ordering::SeqCst);
        self.shares().clone()
    }

    /// True while something may be due that was left out because its tenant has its share.
    pub fn leaves_out(&self) -> bool {
        self.left_out.load(Ordering::SeqCst)
    }

    /// Nothing was left out, unless a tenant has its share.
    pub fn all_served(&self) {
        if self.shares().full().next().is_none() {
            self.left_out.store(false, Ordering::SeqCst);
        }
    }

    fn slot(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Slot {
        Slot { slots: self.clone(), tenant: None, _permit: permit }
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        // Nothing panics while holding it; poisoned counts are still the counts.
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Whose run has it from now on.
    pub fn give_to(&mut self, tenant: TenantId) {
        let mut shares = self.slots.shares();
        if let Some(before) = self.tenant.replace(tenant) {
            shares.give_back(before);
        }
        shares.take(tenant);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(tenant) = self.tenant {
            self.slots.shares().give_back(tenant);
            // Told before the permit is back, and looked at after: whoever is told waits for it.
            if self.slots.left_out.swap(false, Ordering::SeqCst) {
                self.slots.freed.notify_one();
            }
        }
    }
}
