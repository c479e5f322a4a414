//! How often runs start: the generic cell rate algorithm (ITU-T I.371, annex A) in its form of a
//! virtual schedule, with a burst of as many runs as the rule allows in its time.

use tombolo_core::clock::Timestamp;
use tombolo_core::ports::store::Throttle;

pub(crate) const NS_PER_MS: i64 = 1_000_000;

/// The start, and the schedule after it, from the schedule before it.
pub(crate) fn schedule(rule: &Throttle, tat_ns: Option<i64>, now_ns: i64) -> (Timestamp, i64) {
    let per_ns = i64::try_from(rule.per.as_nanos()).unwrap_or(i64::MAX);
    // Rounded up: never more runs than the rule allows.
    let runs = i64::from(rule.runs.max(1));
    let interval_ns = per_ns / runs + i64::from(per_ns % runs != 0);
    let tat_ns = tat_ns.unwrap_or(now_ns).max(now_ns);
    let burst_ns = interval_ns.saturating_mul(runs - 1);
    let start_ns = tat_ns.saturating_sub(burst_ns).max(now_ns);
    let start_ms = start_ns / NS_PER_MS + i64::from(start_ns % NS_PER_MS != 0);
    (Timestamp(start_ms), tat_ns.saturating_add(interval_ns))
}
