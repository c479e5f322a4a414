//! The bounds of every number in the configuration. A test keeps them equal to what the default
//! file says.

use std::ops::RangeInclusive;

use serde_json::Value;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Key, smallest, largest.
const BOUNDS: &[(&str, u64, u64)] = &[
    ("server.body_limit_bytes", KIB, GIB),
    ("server.connections", 1, 1_000_000),
    ("server.head_timeout_ms", 100, HOUR),
    ("server.drain_timeout_ms", 0, 10 * MINUTE),
    ("store.queue_writes", 16, 1_000_000),
    ("store.queue_bytes", MIB, 64 * GIB),
    ("store.batch_rows", 1, 1_000_000),
    ("store.batch_bytes", 64 * KIB, GIB),
    ("store.readers", 1, 64),
    ("store.reader_timeout_ms", 100, 10 * MINUTE),
    ("store.busy_timeout_ms", 0, 10 * MINUTE),
    ("store.page_bytes", 512, 64 * KIB),
    ("store.cache_kib", KIB, 16 * MIB),
    ("store.mmap_bytes", 0, TIB),
    ("store.checkpoint_pages", 100, 1_000_000),
    ("store.journal_bytes", MIB, 16 * GIB),
    ("store.max_file_bytes", 0, 16 * TIB),
    ("postgres.writers", 1, 64),
    ("postgres.connections", 2, 1_000),
    ("postgres.connect_timeout_ms", 100, 10 * MINUTE),
    ("postgres.lock_timeout_ms", 100, 10 * MINUTE),
    ("postgres.statement_timeout_ms", SECOND, HOUR),
    ("postgres.idle_in_transaction_timeout_ms", SECOND, HOUR),
    ("postgres.remember_connections_ms", 0, MINUTE),
    ("engine.concurrent_runs", 1, 100_000),
    ("engine.lease_seconds", 5, 3_600),
    ("engine.poll_ms", 10, MINUTE),
    ("engine.claim_batch", 1, 10_000),
    ("engine.max_claims", 1, 1_000),
    ("engine.housekeeping_seconds", 1, 86_400),
    ("access.requests_per_minute", 0, 10_000_000),
    ("access.burst", 1, 1_000_000),
    ("oidc.leeway_seconds", 0, 300),
    ("alerts.repeat_seconds", 1, 604_800),
    ("audit.checkpoint_entries", 1, 1_000_000),
    ("audit.checkpoint_seconds", 1, 86_400),
    ("sandbox.instances", 1, 10_000),
    ("sandbox.computing_instances", 1, 10_000),
    ("sandbox.queue_timeout_ms", 100, HOUR),
    ("sandbox.loaded_components", 1, 10_000),
    ("sandbox.max_component_bytes", MIB, GIB),
    ("sandbox.compile_timeout_ms", SECOND, HOUR),
    ("sandbox.compile_memory_bytes", 256 * MIB, TIB),
    ("sandbox.cache_bytes", 16 * MIB, TIB),
    ("sandbox.max_stack_bytes", 64 * KIB, 4 * MIB),
    ("sandbox.call.memory_bytes", MIB, 4 * GIB),
    ("sandbox.call.table_elements", 1_000, 10_000_000),
    ("sandbox.call.cpu_ms", 10, HOUR),
    ("sandbox.call.output_bytes", KIB, GIB),
    ("sandbox.call.ports", 1, 10_000),
    ("sandbox.call.handles", 16, 1_000_000),
    ("sandbox.call.random_bytes", KIB, 16 * MIB),
    ("sandbox.call.error_bytes", KIB, MIB),
    ("sandbox.describe.timeout_ms", 10, MINUTE),
    ("sandbox.describe.memory_bytes", MIB, GIB),
    ("sandbox.describe.output_bytes", KIB, 64 * MIB),
    ("sandbox.expression.timeout_ms", 10, MINUTE),
    ("sandbox.expression.memory_bytes", MIB, 4 * GIB),
    ("sandbox.expression.output_bytes", KIB, GIB),
    ("sandbox.log.lines", 0, 1_000_000),
    ("sandbox.log.bytes", 0, GIB),
    ("sandbox.log.line_bytes", 64, MIB),
    ("sandbox.state.entries", 0, 100_000),
    ("sandbox.state.key_bytes", 16, 64 * KIB),
    ("sandbox.state.value_bytes", 16, 64 * MIB),
    ("sandbox.http.calls", 0, 100_000),
    ("sandbox.http.open_calls", 1, 1_000),
    ("sandbox.http.request_bytes", 0, GIB),
    ("sandbox.http.header_bytes", KIB, MIB),
    ("sandbox.http.journal_bytes", 0, 1024 * MIB),
    ("sandbox.warm.instances", 0, 10_000),
    ("sandbox.warm.calls", 1, 1_000_000),
    ("sandbox.warm.memory_bytes", MIB, GIB),
    ("sandbox.warm.idle_ms", SECOND, 24 * HOUR),
    ("egress.max_calls", 1, 100_000),
    ("egress.max_calls_per_host", 1, 100_000),
    ("egress.pool_idle_per_host", 0, 10_000),
    ("egress.pool_idle_timeout_ms", 0, HOUR),
];

/// The bounds of a number, by its key.
pub(super) fn of(key: &str) -> Option<RangeInclusive<u64>> {
    BOUNDS.iter().find(|(name, ..)| *name == key).map(|(_, least, most)| *least..=*most)
}

/// What is wrong with a number, if anything is.
pub(super) fn complaint(key: &str, value: &Value) -> Option<String> {
    let (bounds, number) = (of(key)?, value.as_i64()?);
    let inside = u64::try_from(number).is_ok_and(|number| bounds.contains(&number));
    (!inside)
        .then(|| format!("`{key}` is {number}; it may be {} to {}", bounds.start(), bounds.end()))
}
