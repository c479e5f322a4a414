//! Connections that are lost without anybody knowing: after the server has stopped each connection of
//! the pool is, which shows when it is next used.

use sqlx::postgres::PgPool;

use super::error::Fault;

/// Does on the first connection that is not lost what may be done twice, or was not begun when the
/// connection failed.
pub(super) async fn on_a_live_one<T, Answer>(
    pool: &PgPool,
    attempt: impl Fn() -> Answer,
) -> Result<T, Fault>
where
    Answer: Future<Output = Result<T, sqlx::Error>>,
{
    // Each of them may be lost.
    let mut left = pool.options().get_max_connections();
    loop {
        match attempt().await.map_err(Fault::from) {
            Err(fault) if left > 0 && fault.is_of_one_connection() => left -= 1,
            other => return other,
        }
    }
}
