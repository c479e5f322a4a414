//! What follows a failed attempt: decided from the error's class, the effect and the policy.

use std::time::Duration;

use super::progress::Failed;
use crate::clock::Timestamp;
use crate::error::{ErrorClass, StepError};
use crate::workflow::{Decision, PlanNode, Retry};

/// Longest wait that an upstream may ask for with `Retry-After`.
pub const MAX_RATE_LIMIT_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Shortest wait after a rate limit, so that a `Retry-After: 0` does not spin.
const MIN_RATE_LIMIT_WAIT: Duration = Duration::from_secs(1);

/// Attempts that rate limits may cost a step before it is given up: an upstream that never lets it
/// through is no upstream.
pub const MAX_RATE_LIMITED_ATTEMPTS: u32 = 1_000;

/// What becomes of a step after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// Another attempt.
    Retry {
        /// When.
        at: Timestamp,
    },
    /// Another attempt once somebody has mended the connection, which is paused until then.
    Pause,
    /// None.
    Dead,
    /// None: it would be due later than the node's `retry.within` allows.
    TooLate,
    /// Nobody can know whether it took effect, and it must not be repeated blindly.
    Unknown,
}

/// How often a step was tried, since a person last let it try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// Attempts so far, this one included.
    pub attempts: u32,
    /// Those that count: all but the rate limited ones.
    pub spent: u32,
    /// When the first of them started.
    pub since: Timestamp,
}

/// Decides: first what nobody may overrule, then the node's `retry.if`, then its `retry.on`, then
/// what is usual for the class.
pub fn treat(error: &StepError, node: &PlanNode, tried: Tried, failed: Failed) -> Treatment {
    let class = error.class;
    if class == ErrorClass::UnknownOutcome && !node.effect.repeatable() {
        return Treatment::Unknown;
    }
    let decision = failed
        .judged
        .map(|again| if again { Decision::Retry } else { Decision::Fail })
        .or_else(|| node.retry.on.get(&class).copied());
    match (decision, class) {
        (Some(Decision::Fail), _) => Treatment::Dead,
        (_, ErrorClass::RateLimited) => {
            within(&node.retry, tried, after_rate_limit(error, &node.retry, tried, failed.now))
        }
        (Some(Decision::Retry), _) | (None, ErrorClass::Transient | ErrorClass::UnknownOutcome) => {
            within(&node.retry, tried, again(error, &node.retry, tried.spent, failed))
        }
        (None, ErrorClass::Auth) if node.connection.is_some() => Treatment::Pause,
        (
            None,
            ErrorClass::Auth
            | ErrorClass::InvalidInput
            | ErrorClass::NotFound
            | ErrorClass::Conflict
            | ErrorClass::Permanent,
        ) => Treatment::Dead,
    }
}

/// An attempt that would come too late for the node is none.
fn within(policy: &Retry, tried: Tried, treatment: Treatment) -> Treatment {
    let last = policy.within.map(|within| tried.since.plus(within.0));
    match treatment {
        Treatment::Retry { at } if last.is_some_and(|last| at > last) => Treatment::TooLate,
        other => other,
    }
}

/// The other side says when; no attempt is spent.
fn after_rate_limit(error: &StepError, policy: &Retry, tried: Tried, now: Timestamp) -> Treatment {
    if tried.attempts >= MAX_RATE_LIMITED_ATTEMPTS {
        return Treatment::Dead;
    }
    let asked = error
        .retry_after_ms
        .map_or_else(|| backoff(policy, tried.attempts, 1.0), Duration::from_millis);
    let wait = asked.clamp(MIN_RATE_LIMIT_WAIT, MAX_RATE_LIMIT_WAIT);
    Treatment::Retry { at: now.plus(wait) }
}

fn again(error: &StepError, policy: &Retry, spent: u32, failed: Failed) -> Treatment {
    if spent >= policy.attempts {
        return Treatment::Dead;
    }
    let asked = error.retry_after_ms.map_or(Duration::ZERO, Duration::from_millis);
    let wait = backoff(policy, spent, failed.jitter).max(asked.min(MAX_RATE_LIMIT_WAIT));
    Treatment::Retry { at: failed.now.plus(wait) }
}

/// Exponential backoff with full jitter: `jitter * min(max, first * factor^(spent - 1))`.
/// Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
fn backoff(policy: &Retry, spent: u32, jitter: f64) -> Duration {
    let backoff = &policy.backoff;
    let exponent = i32::try_from(spent.saturating_sub(1)).unwrap_or(i32::MAX);
    let bound = (backoff.first.0.as_secs_f64() * backoff.factor.powi(exponent))
        .min(backoff.max.0.as_secs_f64());
    Duration::try_from_secs_f64(bound * jitter.clamp(0.0, 1.0)).unwrap_or(backoff.max.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::effect::Effect;
    use crate::run::testing::plan;
    use crate::workflow::{Backoff, Span};

    const NOW: Timestamp = Timestamp(1_000_000);

    fn error(class: ErrorClass, retry_after_ms: Option<u64>) -> StepError {
        StepError { retry_after_ms, ..StepError::new(class, "c", "m") }
    }

    fn node(effect: Effect) -> PlanNode {
        let mut node = plan(serde_json::json!({"n": {}})).nodes.remove(0);
        node.effect = effect;
        node.retry = Retry {
            attempts: 4,
            backoff: Backoff {
                first: Span(Duration::from_secs(1)),
                factor: 10.0,
                max: Span(Duration::from_secs(60)),
            },
            ..Retry::default()
        };
        node
    }

    fn failed(jitter: f64) -> Failed {
        Failed { judged: None, now: NOW, jitter }
    }

    fn decide(class: ErrorClass, effect: Effect, spent: u32, jitter: f64) -> Treatment {
        let tried = Tried { attempts: spent, spent, since: NOW };
        treat(&error(class, None), &node(effect), tried, failed(jitter))
    }

    #[test]
    fn waits_grow_up_to_their_bound_and_then_the_step_is_dead() {
        let wait = |spent| match decide(ErrorClass::Transient, Effect::Read, spent, 1.0) {
            Treatment::Retry { at } => at.since(NOW).as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!([wait(1), wait(2), wait(3)], [1, 10, 60]);
        assert_eq!(decide(ErrorClass::Transient, Effect::Read, 4, 1.0), Treatment::Dead);
    }

    #[test]
    fn no_attempt_is_due_later_than_the_node_allows() {
        let mut hasty = node(Effect::Read);
        hasty.retry.within = Some(Span(Duration::from_secs(30)));
        let decide = |class, asked: Option<u64>, since_s: u64| {
            let since = Timestamp(NOW.0 - i64::try_from(since_s * 1_000).unwrap());
            let tried = Tried { attempts: 1, spent: 1, since };
            treat(&error(class, asked), &hasty, tried, failed(1.0))
        };
        let at = |after_s| Treatment::Retry { at: NOW.plus(Duration::from_secs(after_s)) };
        assert_eq!(decide(ErrorClass::Transient, None, 29), at(1), "just in time");
        assert_eq!(decide(ErrorClass::Transient, None, 30), Treatment::TooLate);
        assert_eq!(decide(ErrorClass::RateLimited, Some(20_000), 10), at(20));
        assert_eq!(decide(ErrorClass::RateLimited, Some(20_000), 11), Treatment::TooLate);
        assert_eq!(decide(ErrorClass::UnknownOutcome, None, 30), Treatment::TooLate);
    }

    #[test]
    fn jitter_spreads_over_the_whole_wait() {
        let at = |jitter| match decide(ErrorClass::Transient, Effect::Read, 2, jitter) {
            Treatment::Retry { at, .. } => at.since(NOW).as_millis(),
            other => panic!("{other:?}"),
        };
        assert_eq!([at(0.0), at(0.5), at(1.0)], [0, 5_000, 10_000]);
    }

    #[test]
    fn a_rate_limit_is_obeyed_and_spends_nothing() {
        let limited = error(ErrorClass::RateLimited, Some(7_000));
        let limited_after = |error: &StepError, attempts| {
            let tried = Tried { attempts, spent: 0, since: NOW };
            match treat(error, &node(Effect::Unsafe), tried, failed(0.0)) {
                Treatment::Retry { at } => Some(at.since(NOW)),
                _ => None,
            }
        };
        assert_eq!(limited_after(&limited, 99), Some(Duration::from_secs(7)));
        let at_once = error(ErrorClass::RateLimited, Some(0));
        assert_eq!(limited_after(&at_once, 1), Some(MIN_RATE_LIMIT_WAIT));
        let unsaid = error(ErrorClass::RateLimited, None);
        let waits = [1, 2, 3, 4].map(|attempt| limited_after(&unsaid, attempt).unwrap().as_secs());
        assert_eq!(waits, [1, 10, 60, 60], "where nobody says how long, waits grow");
        assert_eq!(limited_after(&limited, MAX_RATE_LIMITED_ATTEMPTS), None);
    }

    #[test]
    fn an_unknown_outcome_is_repeated_only_where_that_is_safe() {
        for effect in [Effect::Pure, Effect::Read, Effect::Keyed] {
            assert!(matches!(
                decide(ErrorClass::UnknownOutcome, effect, 1, 0.0),
                Treatment::Retry { .. }
            ));
        }
        assert_eq!(decide(ErrorClass::UnknownOutcome, Effect::Unsafe, 1, 0.0), Treatment::Unknown);
        let mut stubborn = node(Effect::Unsafe);
        stubborn.retry.on = BTreeMap::from([(ErrorClass::UnknownOutcome, Decision::Retry)]);
        let judged = Failed { judged: Some(true), ..failed(0.0) };
        let tried = Tried { attempts: 1, spent: 1, since: NOW };
        let lost = error(ErrorClass::UnknownOutcome, None);
        assert_eq!(treat(&lost, &stubborn, tried, judged), Treatment::Unknown, "whoever says so");
    }

    #[test]
    fn what_will_not_pass_is_dead_at_once() {
        use ErrorClass as C;
        for class in [C::InvalidInput, C::Auth, C::NotFound, C::Conflict, C::Permanent] {
            assert_eq!(decide(class, Effect::Read, 1, 0.0), Treatment::Dead);
        }
    }

    #[test]
    fn refused_credentials_pause_the_connection() {
        let mut calls_out = node(Effect::Keyed);
        calls_out.connection = Some("crm".to_owned());
        let refused = error(ErrorClass::Auth, None);
        let tried = Tried { attempts: 9, spent: 9, since: NOW };
        assert_eq!(treat(&refused, &calls_out, tried, failed(0.0)), Treatment::Pause);
        calls_out.retry.on = BTreeMap::from([(ErrorClass::Auth, Decision::Fail)]);
        assert_eq!(treat(&refused, &calls_out, tried, failed(0.0)), Treatment::Dead);
    }

    #[test]
    fn a_node_overrules_what_is_usual_for_a_class() {
        let tried = Tried { attempts: 1, spent: 1, since: NOW };
        let mut own = node(Effect::Read);
        own.retry.on = BTreeMap::from([
            (ErrorClass::NotFound, Decision::Retry),
            (ErrorClass::Transient, Decision::Fail),
        ]);
        let decide = |class, judged| {
            let failed = Failed { judged, ..failed(0.0) };
            treat(&error(class, None), &own, tried, failed)
        };
        assert!(matches!(decide(ErrorClass::NotFound, None), Treatment::Retry { .. }));
        assert_eq!(decide(ErrorClass::Transient, None), Treatment::Dead);
        assert!(matches!(decide(ErrorClass::Transient, Some(true)), Treatment::Retry { .. }));
        assert_eq!(decide(ErrorClass::NotFound, Some(false)), Treatment::Dead);
    }
}
