//! Connections that were read before. Every attempt that calls out needs its connection. Where one
//! process has the database to itself, what it read stays true until it writes; elsewhere it is taken
//! to be true for a while.
//!
//! Never remembers that a connection is missing, and never more than [`MAX_REMEMBERED`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tombolo_core::id::TenantId;
use tombolo_core::ports::egress::Connection;

/// Connections kept; with one more, all are forgotten.
const MAX_REMEMBERED: usize = 1_000;

/// Connections by tenant and name.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    known: Mutex<Known>,
    /// How long a reading is taken to be true; None for as long as nothing is written.
    lasts: Option<Duration>,
}

#[derive(Debug, Default)]
struct Known {
    connections: HashMap<TenantId, HashMap<String, (Connection, Instant)>>,
    count: usize,
    /// Counts what was forgotten, so that what was read before is not remembered after.
    generation: u64,
}

/// Whose reading it is that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

impl Remembered {
    /// For a database that others write, too.
    pub(crate) fn for_a_while(lasts: Duration) -> Self {
        Self { known: Mutex::default(), lasts: Some(lasts) }
    }

    /// The connection, or with what its reading has to come back.
    pub(crate) fn get(&self, tenant: TenantId, name: &str) -> Result<Connection, Generation> {
        let known = self.lock();
        let found = known.connections.get(&tenant).and_then(|of_tenant| of_tenant.get(name));
        let lasts = |at: &Instant| self.lasts.is_none_or(|lasts| at.elapsed() < lasts);
        let found = found.filter(|(_, at)| lasts(at)).map(|(connection, _)| connection.clone());
        found.ok_or(Generation(known.generation))
    }

    /// Remembers what was read, unless something was forgotten in the meantime.
    pub(crate) fn keep(&self, read: &Connection, since: Generation) {
        let mut known = self.lock();
        if known.generation != since.0 {
            return;
        }
        if known.count >= MAX_REMEMBERED {
            known.connections.clear();
            known.count = 0;
        }
        let of_tenant = known.connections.entry(read.tenant).or_default();
        let reading = (read.clone(), Instant::now());
        if of_tenant.insert(read.name.clone(), reading).is_none() {
            known.count += 1;
        }
    }

    /// Forgets everything; to be called after a connection was written, before that is answered.
    pub(crate) fn forget(&self) {
        let mut known = self.lock();
        known.connections.clear();
        known.count = 0;
        known.generation += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tombolo_core::clock::Timestamp;
    use tombolo_core::id::ConnectionId;
    use tombolo_core::ports::egress::{Auth, CallLimits};
    use uuid::Uuid;

    use super::*;

    fn connection(tenant: u128, name: &str) -> Connection {
        Connection {
            id: ConnectionId(Uuid::from_u128(7)),
            tenant: TenantId(Uuid::from_u128(tenant)),
            name: name.to_owned(),
            base_url: None,
            auth: Auth::None,
            signing: None,
            allowed_hosts: Vec::new(),
            limits: CallLimits::default(),
            updated_at: Timestamp(0),
            paused: None,
        }
    }

    #[test]
    fn a_connection_stays_with_its_tenant() {
        let remembered = Remembered::default();
        let (mine, theirs) = (TenantId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        let since = remembered.get(mine, "crm").expect_err("nothing was read");
        remembered.keep(&connection(1, "crm"), since);
        assert_eq!(remembered.get(mine, "crm"), Ok(connection(1, "crm")));
        assert!(remembered.get(theirs, "crm").is_err());
        assert!(remembered.get(mine, "other").is_err());
    }

    #[test]
    fn what_was_read_before_a_write_is_not_kept_after_it() {
        let remembered = Remembered::default();
        let tenant = TenantId(Uuid::from_u128(1));
        let since = remembered.get(tenant, "crm").expect_err("nothing was read");
        remembered.forget();
        remembered.keep(&connection(1, "crm"), since);
        assert!(remembered.get(tenant, "crm").is_err());
    }

    #[test]
    fn where_others_write_it_is_read_again_after_a_while() {
        let tenant = TenantId(Uuid::from_u128(1));
        for (lasts, kept) in [(Duration::ZERO, false), (Duration::from_secs(3600), true)] {
            let remembered = Remembered::for_a_while(lasts);
            let since = remembered.get(tenant, "crm").expect_err("nothing was read");
            remembered.keep(&connection(1, "crm"), since);
            assert_eq!(remembered.get(tenant, "crm").is_ok(), kept);
        }
    }

    #[test]
    fn there_is_a_bound() {
        let remembered = Remembered::default();
        for number in 0..2 * MAX_REMEMBERED {
            let name = format!("c{number}");
            let since = remembered.get(TenantId(Uuid::from_u128(1)), &name).expect_err("is new");
            remembered.keep(&connection(1, &name), since);
            let known = remembered.lock();
            let kept: usize = known.connections.values().map(HashMap::len).sum();
            assert!(kept <= MAX_REMEMBERED && kept == known.count);
        }
    }
}
