//! Quotas as columns.

use tombolo_core::quota::Quotas;

/// `runs_per_minute, concurrent_runs, storage_bytes, connections`. A bound that is too large for a
/// column is as good as none.
pub(crate) fn quota_columns(quotas: &Quotas) -> [Option<i64>; 4] {
    let wide = |bound: u64| i64::try_from(bound).ok();
    [
        quotas.runs_per_minute.map(i64::from),
        quotas.concurrent_runs.and_then(wide),
        quotas.storage_bytes.and_then(wide),
        quotas.connections.map(i64::from),
    ]
}
