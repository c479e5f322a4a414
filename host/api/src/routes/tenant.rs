//! `GET /api/v1/tenant`: the caller's tenant, its quotas and what it uses of them.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tombolo_core::id::TenantId;
use tombolo_core::quota::{Quota, Quotas, Usage};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::problem::Problem;

/// A tenant.
#[derive(Serialize, ToSchema)]
pub(crate) struct TenantShape {
    #[schema(value_type = String)]
    id: TenantId,
    /// Each quota there is.
    quotas: Vec<QuotaShape>,
}

/// A quota of the tenant.
#[derive(Serialize, ToSchema)]
pub(crate) struct QuotaShape {
    /// `runs_per_minute`, `concurrent_runs`, `storage_bytes` or `connections`.
    quota: &'static str,
    /// Null if there is no bound.
    limit: Option<u64>,
    /// What is used of it: as this process knows it, counted a few seconds ago (bytes: a minute).
    /// Null where nothing is counted because there is no bound.
    current: Option<u64>,
}

/// The caller's tenant, its quotas and what it uses of them.
#[utoipa::path(
    get,
    path = "/api/v1/tenant",
    tag = "tenant",
    operation_id = "showTenant",
    responses((status = 200, body = TenantShape))
)]
pub(crate) async fn show(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<TenantShape>, Problem> {
    let allowances = app.ports.gate.allowances();
    let quotas = allowances.quotas(caller.tenant);
    let usage = allowances.usage(caller.tenant, app.ports.clock.now());
    let connections = app.ports.store.connections(caller.tenant).await?.len() as u64;
    Ok(Json(TenantShape { id: caller.tenant, quotas: shapes(quotas, usage, connections) }))
}

fn shapes(quotas: Quotas, usage: Usage, connections: u64) -> Vec<QuotaShape> {
    let counted = |quota: Quota, limit: Option<u64>, current: u64| QuotaShape {
        quota: quota.name(),
        limit,
        current: limit.map(|_| current),
    };
    let per_minute = quotas.runs_per_minute.map(u64::from);
    vec![
        counted(Quota::RunsPerMinute, per_minute, usage.runs_per_minute),
        counted(Quota::ConcurrentRuns, quotas.concurrent_runs, usage.concurrent_runs),
        counted(Quota::StorageBytes, quotas.storage_bytes, usage.storage_bytes),
        QuotaShape {
            quota: Quota::Connections.name(),
            limit: quotas.connections.map(u64::from),
            current: Some(connections),
        },
    ]
}
