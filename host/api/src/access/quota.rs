//! What a tenant may still use, as the routes ask it. Answered from memory.

use tombolo_core::id::TenantId;
use tombolo_core::ports::quota::RunQuotas;
use tombolo_core::ports::repair::ReplayOrder;
use tombolo_core::quota::{OverQuota, Quota};

use super::who::Caller;
use crate::app::App;
use crate::problem::{Kind, Problem};

/// Lets a run start, and counts it, unless its event is known: then none starts. `known_by` is the
/// source and the dedupe key that the caller chose, if they did.
pub(crate) async fn start_run(
    app: &App,
    caller: &Caller,
    known_by: Option<(&str, &str)>,
) -> Result<(), Problem> {
    let (tenant, allowances) = (caller.tenant, app.ports.gate.allowances());
    if let Some((source, key)) = known_by
        && !allowances.quotas(tenant).is_empty()
        && app.ports.store.knows_event(tenant, source, key).await?
    {
        return Ok(());
    }
    Ok(allowances.admit(tenant, 1, app.ports.clock.now())?)
}

/// The same for a replay.
pub(crate) async fn start_replay(
    app: &App,
    caller: &Caller,
    order: &ReplayOrder,
) -> Result<(), Problem> {
    let source = order.source();
    start_run(app, caller, order.dedupe_key.as_deref().map(|key| (&*source, key))).await
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
