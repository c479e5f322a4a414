//! Waiting for what is to come, with a bound.

use std::time::Duration;

/// Bound of everything a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// By the clock that is set by hand.
pub const HOUR: Duration = Duration::from_secs(3600);

/// What comes soon, or the test fails.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes in time")
}

/// Looks again and again until there is something.
pub async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    match tokio::time::timeout(PATIENCE, found).await {
        Ok(found) => found,
        Err(_) => panic!("not within {PATIENCE:?}: {what}"),
    }
}
