//! Tenants by name, remembered: a name means the same tenant for ever, so a webhook need not ask the
//! database for it every time.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{Store, StoreError};

/// Names that were found. Those that were not are asked for again, so that only what the store has
/// takes room here.
#[derive(Default)]
pub(crate) struct Tenants(RwLock<HashMap<String, TenantId>>);

impl Tenants {
    pub async fn find(
        &self,
        store: &dyn Store,
        name: &str,
    ) -> Result<Option<TenantId>, StoreError> {
        if let Some(id) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(Some(*id));
        }
        let found = store.tenant(name).await?.map(|tenant| tenant.id);
        if let Some(id) = found {
            self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), id);
        }
        Ok(found)
    }
}
