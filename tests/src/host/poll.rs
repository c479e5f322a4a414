//! Waiting for another process: asks again and again, up to a deadline.

use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

/// How long a poll goes on.
pub const POLL_LIMIT: Duration = Duration::from_secs(45);

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(15);

/// Asks until there is something, and gives it.
///
/// # Errors
/// If asking fails, or after [`POLL_LIMIT`]; `what` says what was waited for.
pub async fn poll<T>(
    what: &str,
    mut ask: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let end = Instant::now() + POLL_LIMIT;
    loop {
        if let Some(found) = ask().await? {
            return Ok(found);
        }
        if Instant::now() >= end {
            bail!("waited {POLL_LIMIT:?} in vain for {what}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
