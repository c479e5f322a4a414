//! What follows a failed attempt: decided from the error's class, the effect and the policy.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::effect::Effect;
use crate::error::{ErrorClass, StepError};
use crate::workflow::Retry;

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
    /// None.
    Dead,
    /// Nobody can know whether it took effect, and it must not be repeated blindly.
    Unknown,
}

/// How often a step was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// Attempts so far, this one included.
    pub attempts: u32,
    /// Those that count: all but the rate limited ones.
    pub spent: u32,
}

/// Decides. `jitter` is a random number from 0 to 1.
pub fn treat(
    error: &StepError,
    effect: Effect,
    policy: &Retry,
    tried: Tried,
    now: Timestamp,
    jitter: f64,
) -> Treatment {
    let spent = tried.spent;
    match error.class {
        ErrorClass::RateLimited if tried.attempts >= MAX_RATE_LIMITED_ATTEMPTS => Treatment::Dead,
        ErrorClass::RateLimited => {
            let asked = error
                .retry_after_ms
                .map_or_else(|| backoff(policy, tried.attempts, 1.0), Duration::from_millis);
            let wait = asked.clamp(MIN_RATE_LIMIT_WAIT, MAX_RATE_LIMIT_WAIT);
            Treatment::Retry { at: now.plus(wait) }
        }
        ErrorClass::Transient => again(error, policy, spent, now, jitter),
        ErrorClass::UnknownOutcome if effect.repeatable() => {
            again(error, policy, spent, now, jitter)
        }
        ErrorClass::UnknownOutcome => Treatment::Unknown,
        ErrorClass::InvalidInput
        | ErrorClass::Auth
        | ErrorClass::NotFound
        | ErrorClass::Conflict
        | ErrorClass::Permanent => Treatment::Dead,
    }
}

fn again(error: &StepError, policy: &Retry, spent: u32, now: Timestamp, jitter: f64) -> Treatment {
    if spent >= policy.attempts {
        return Treatment::Dead;
    }
    let asked = error.retry_after_ms.map_or(Duration::ZERO, Duration::from_millis);
    let wait = backoff(policy, spent, jitter).max(asked.min(MAX_RATE_LIMIT_WAIT));
    Treatment::Retry { at: now.plus(wait) }
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
    use super::*;
    use crate::workflow::{Backoff, Span};

    const NOW: Timestamp = Timestamp(1_000_000);

    fn error(class: ErrorClass, retry_after_ms: Option<u64>) -> StepError {
        StepError { retry_after_ms, ..StepError::new(class, "c", "m") }
    }

    fn policy() -> Retry {
        Retry {
            attempts: 4,
            backoff: Backoff {
                first: Span(Duration::from_secs(1)),
                factor: 10.0,
                max: Span(Duration::from_secs(60)),
            },
        }
    }

    fn decide(class: ErrorClass, effect: Effect, spent: u32, jitter: f64) -> Treatment {
        treat(&error(class, None), effect, &policy(), Tried { attempts: spent, spent }, NOW, jitter)
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
            let tried = Tried { attempts, spent: 0 };
            match treat(error, Effect::Unsafe, &policy(), tried, NOW, 0.0) {
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
    }

    #[test]
    fn what_will_not_pass_is_dead_at_once() {
        use ErrorClass as C;
        for class in [C::InvalidInput, C::Auth, C::NotFound, C::Conflict, C::Permanent] {
            assert_eq!(decide(class, Effect::Read, 1, 0.0), Treatment::Dead);
        }
    }
}
