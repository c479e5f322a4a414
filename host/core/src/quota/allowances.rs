//! What tenants use, as one process knows it: what was counted in the store some time ago, and what
//! this process has let in since.
//!
//! Never counts anything itself: somebody tells it ([`Allowances::counted`]), at an interval of theirs. So
//! a tenant may go over by what all processes together let in during that interval.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{OverQuota, Quota, Quotas};
use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::ports::quota::RunQuotas;
use crate::rate::{Meter, Rate};

/// When somebody whose tenant has too many runs under way should try again: they are counted as
/// often.
const RECOUNT: Duration = Duration::from_secs(5);

/// The same for a minute whose runs are all taken, if the quota is 0.
const MINUTE: Duration = Duration::from_secs(60);

/// What the store counted.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Every tenant that has a quota.
    pub quotas: Vec<(TenantId, Quotas)>,
    /// Runs that have not ended; None if they were not counted this time.
    pub open_runs: Option<Vec<(TenantId, u64)>>,
}

/// What a tenant uses, as far as this process knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Runs of the last minute, those let in by this process.
    pub runs_per_minute: u64,
    /// Runs that have not ended.
    pub concurrent_runs: u64,
    /// Bytes of long texts and components.
    pub storage_bytes: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Allowances(Mutex<HashMap<TenantId, Account>>);

/// Of a tenant that has a quota.
#[derive(Debug, Default)]
struct Account {
    quotas: Quotas,
    runs: Meter,
    /// As counted.
    open: u64,
    /// Let in before a count began that has not ended.
    earlier: u64,
    /// Let in since the count began.
    since: u64,
    /// As counted.
    storage: u64,
}

impl Allowances {
    /// A count begins: what is let in from now on is not in it.
    pub fn counting(&self) {
        for account in self.lock().values_mut() {
            account.earlier += std::mem::take(&mut account.since);
        }
    }

    /// What the count that began with [`Allowances::counting`] has brought. A tenant that has no quota
    /// any more is forgotten.
    pub fn counted(&self, counts: &Counts) {
        let mut accounts = self.lock();
        accounts.retain(|tenant, _| counts.quotas.iter().any(|(one, _)| one == tenant));
        for (tenant, quotas) in &counts.quotas {
            accounts.entry(*tenant).or_default().quotas = *quotas;
        }
        if let Some(open) = counts.open_runs.as_deref() {
            let open: HashMap<TenantId, u64> = open.iter().copied().collect();
            for (tenant, account) in accounts.iter_mut() {
                account.open = open.get(tenant).copied().unwrap_or(0);
                account.earlier = 0;
            }
        }
    }

    /// The bytes that tenants have stored; 0 for one that is not named.
    pub fn stored(&self, bytes: &[(TenantId, u64)]) {
        let stored: HashMap<TenantId, u64> = bytes.iter().copied().collect();
        for (tenant, account) in self.lock().iter_mut() {
            account.storage = stored.get(tenant).copied().unwrap_or(0);
        }
    }

    /// Whose stored bytes have a bound.
    pub fn with_bounded_storage(&self) -> Vec<TenantId> {
        let accounts = self.lock();
        let bounded = accounts.iter().filter(|(_, account)| account.quotas.storage_bytes.is_some());
        bounded.map(|(tenant, _)| *tenant).collect()
    }

    /// True if no tenant has a quota.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// What a tenant may use.
    pub fn quotas(&self, tenant: TenantId) -> Quotas {
        self.lock().get(&tenant).map(|account| account.quotas).unwrap_or_default()
    }

    /// What a tenant uses; zeros for one without a quota.
    pub fn usage(&self, tenant: TenantId, now: Timestamp) -> Usage {
        let accounts = self.lock();
        let Some(account) = accounts.get(&tenant) else { return Usage::default() };
        Usage {
            runs_per_minute: account.rate().map_or(0, |rate| rate.used(&account.runs, now)),
            concurrent_runs: account.concurrent(),
            storage_bytes: account.storage,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Account>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunQuotas for Allowances {
    fn check(&self, tenant: TenantId) -> Result<(), OverQuota> {
        self.lock().get(&tenant).map_or(Ok(()), Account::check)
    }

    fn admit(&self, tenant: TenantId, runs: u32, now: Timestamp) -> Result<(), OverQuota> {
        self.lock().get_mut(&tenant).map_or(Ok(()), |account| account.admit(runs, now))
    }

    fn store_more(&self, tenant: TenantId) -> Result<(), OverQuota> {
        self.lock().get(&tenant).map_or(Ok(()), Account::check_storage)
    }
}

impl Account {
    fn concurrent(&self) -> u64 {
        self.open + self.earlier + self.since
    }

    /// None if the quota is none, or 0.
    fn rate(&self) -> Option<Rate> {
        let runs = self.quotas.runs_per_minute?;
        Rate::new(runs, runs)
    }

    fn check_storage(&self) -> Result<(), OverQuota> {
        match self.quotas.storage_bytes {
            Some(limit) if self.storage >= limit => Err(OverQuota {
                quota: Quota::StorageBytes,
                limit,
                current: self.storage,
                retry_after: None,
            }),
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<(), OverQuota> {
        self.check_storage()?;
        match self.quotas.concurrent_runs {
            Some(limit) if self.concurrent() >= limit => Err(OverQuota {
                quota: Quota::ConcurrentRuns,
                limit,
                current: self.concurrent(),
                retry_after: Some(RECOUNT),
            }),
            _ => Ok(()),
        }
    }

    fn admit(&mut self, runs: u32, now: Timestamp) -> Result<(), OverQuota> {
        self.check()?;
        let over = |current: u64, wait: Duration, limit: u32| OverQuota {
            quota: Quota::RunsPerMinute,
            limit: u64::from(limit),
            current,
            retry_after: Some(wait),
        };
        match (self.quotas.runs_per_minute, self.rate()) {
            (Some(limit), Some(rate)) => rate
                .take(&mut self.runs, now, runs)
                .map_err(|wait| over(rate.used(&self.runs, now), wait, limit))?,
            (Some(limit), None) => return Err(over(0, MINUTE, limit)),
            (None, _) => {}
        }
        self.since += u64::from(runs);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ACME: TenantId = TenantId(Uuid::from_u128(1));
    const GLOBEX: TenantId = TenantId(Uuid::from_u128(2));
    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn allowances(quotas: Quotas) -> Allowances {
        let tenants = Allowances::default();
        tenants.counted(&Counts { quotas: vec![(ACME, quotas)], ..Counts::default() });
        tenants
    }

    fn open(tenants: &Allowances, quotas: Quotas, runs: u64) {
        let open_runs = Some(vec![(ACME, runs), (GLOBEX, 1_000_000)]);
        tenants.counted(&Counts { quotas: vec![(ACME, quotas)], open_runs });
    }

    #[test]
    fn runs_of_a_minute() {
        let tenants = allowances(Quotas { runs_per_minute: Some(60), ..Quotas::default() });
        for _ in 0..60 {
            tenants.admit(ACME, 1, NOW).unwrap();
        }
        let over = tenants.admit(ACME, 1, NOW).unwrap_err();
        assert_eq!((over.quota, over.limit, over.current), (Quota::RunsPerMinute, 60, 60));
        assert_eq!(over.retry_after, Some(Duration::from_secs(1)));
        tenants.admit(GLOBEX, 1, NOW).unwrap();
        tenants.admit(ACME, 1, NOW.plus(Duration::from_secs(1))).unwrap();
    }

    #[test]
    fn none_may_start_if_the_quota_is_zero() {
        let tenants = allowances(Quotas { runs_per_minute: Some(0), ..Quotas::default() });
        assert_eq!(tenants.admit(ACME, 1, NOW).unwrap_err().retry_after, Some(MINUTE));
    }

    #[test]
    fn runs_under_way_are_those_counted_and_those_let_in_since() {
        let quotas = Quotas { concurrent_runs: Some(10), ..Quotas::default() };
        let tenants = allowances(quotas);
        tenants.counting();
        tenants.admit(ACME, 3, NOW).unwrap();
        open(&tenants, quotas, 6);
        assert_eq!(tenants.usage(ACME, NOW).concurrent_runs, 9, "three came after it began");
        tenants.admit(ACME, 1, NOW).unwrap();
        let over = tenants.admit(ACME, 1, NOW).unwrap_err();
        assert_eq!((over.quota, over.limit, over.current), (Quota::ConcurrentRuns, 10, 10));
        assert_eq!(tenants.check(ACME), Err(over));

        tenants.counting();
        assert!(tenants.check(ACME).is_err(), "what was let in counts until the count is there");
        open(&tenants, quotas, 2);
        assert_eq!(tenants.usage(ACME, NOW).concurrent_runs, 2);
        tenants.admit(ACME, 1, NOW).unwrap();
    }

    #[test]
    fn storage_that_is_full_is_nothing_to_wait_for() {
        let quotas = Quotas { storage_bytes: Some(100), ..Quotas::default() };
        let tenants = allowances(quotas);
        assert_eq!(tenants.with_bounded_storage(), [ACME]);
        let stored = |bytes| tenants.stored(&[(ACME, bytes)]);
        stored(99);
        tenants.store_more(ACME).unwrap();
        stored(100);
        let over = tenants.admit(ACME, 1, NOW).unwrap_err();
        assert_eq!((over.quota, over.current, over.retry_after), (Quota::StorageBytes, 100, None));
        assert_eq!(tenants.store_more(ACME), Err(over));
    }

    #[test]
    fn a_quota_that_is_lifted_holds_nobody() {
        let tenants = allowances(Quotas { runs_per_minute: Some(0), ..Quotas::default() });
        tenants.counted(&Counts::default());
        tenants.admit(ACME, 1_000, NOW).unwrap();
        assert_eq!(tenants.usage(ACME, NOW), Usage::default());
    }
}
