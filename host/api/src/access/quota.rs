//! What a tenant may still use, as the routes ask it. Answered from memory.

use tombolo_core::id::TenantId;
use tombolo_core::ports::quota::RunQuotas;
use tombolo_core::quota::{OverQuota, Quota};

use super::who::Caller;
use crate::app::App;
use crate::problem::{Kind, Problem};

/// Lets so many runs start, and counts them.
pub(crate) fn start_runs(app: &App, caller: &Caller, runs: u32) -> Result<(), Problem> {
    let allowances = app.ports.gate.allowances();
    Ok(allowances.admit(caller.tenant, runs, app.ports.clock.now())?)
}

/// Whether a large thing may be stored.
pub(crate) fn store_more(app: &App, caller: &Caller) -> Result<(), Problem> {
    Ok(app.ports.gate.allowances().store_more(caller.tenant)?)
}

/// Whether there may be one more connection. Counted in the store: connections are made rarely. Two
/// that are made at the same time may both be let in.
pub(crate) async fn add_connection(app: &App, tenant: TenantId) -> Result<(), Problem> {
    let Some(limit) = app.ports.gate.allowances().quotas(tenant).connections else {
        return Ok(());
    };
    let current = app.ports.store.connections(tenant).await?.len() as u64;
    let limit = u64::from(limit);
    if current < limit {
        return Ok(());
    }
    Err(OverQuota { quota: Quota::Connections, limit, current, retry_after: None }.into())
}

impl From<OverQuota> for Problem {
    fn from(over: OverQuota) -> Self {
        let text = over.to_string();
        let problem = match over.retry_after {
            Some(wait) => Self::new(Kind::QuotaUsedUp, text).retry_after(wait),
            None => Self::new(Kind::QuotaFull, text),
        };
        problem
            .with("quota", over.quota.name())
            .with("limit", over.limit)
            .with("current", over.current)
    }
}
