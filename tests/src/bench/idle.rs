//! A process that has nothing to do: what it and its database take of a core, and how often it asks.

use std::time::{Duration, Instant};

use tombolo_test_postgres::{Database, Server as Postgres};

use super::figures::Figures;
use super::process::processor_of_all;
use super::server::Server;
use super::settings::Settings;

/// The pause after the start, in durations of a measurement: looks for work come less and less often,
/// down to one in three seconds.
const QUIET: u32 = 4;

/// How long it is looked at, in the same: what it takes is counted in hundredths of a second.
const TIMES: u32 = 10;

/// What was used so far.
struct Used {
    at: Instant,
    process: Duration,
    database: Duration,
    transactions: i64,
}

/// Looks at a process that was just started.
///
/// # Errors
/// If the database is not there.
pub async fn measure(
    server: &Server,
    settings: &Settings,
    database: Option<(&Postgres, &Database)>,
) -> anyhow::Result<Figures> {
    tokio::time::sleep(settings.duration * QUIET).await;
    let before = so_far(server, database).await?;
    tokio::time::sleep(settings.duration * TIMES).await;
    let after = so_far(server, database).await?;
    let seconds = (after.at - before.at).as_secs_f64();
    let percent = |used: Duration| used.as_secs_f64() / seconds * 100.0;
    let of_process = percent(after.process.saturating_sub(before.process));
    let mut figures = Figures::default();
    figures.set("seconds", seconds);
    figures.set("process_core_percent", of_process);
    if database.is_some() {
        let of_database = percent(after.database.saturating_sub(before.database));
        figures.set("core_percent", of_process + of_database);
        let transactions = (after.transactions - before.transactions) as f64;
        figures.set("transactions_per_second", transactions / seconds);
    }
    Ok(figures)
}

async fn so_far(server: &Server, database: Option<(&Postgres, &Database)>) -> anyhow::Result<Used> {
    let (of_database, transactions) = match database {
        Some((postgres, database)) => {
            (processor_of_all(postgres.pid()?), transactions(database).await?)
        }
        None => (Duration::ZERO, 0),
    };
    let process = server.usage().processor;
    Ok(Used { at: Instant::now(), process, database: of_database, transactions })
}

/// Those in the database so far. Asked for from another one, so that the question is not counted.
async fn transactions(database: &Database) -> anyhow::Result<i64> {
    let mut admin = database.admin().await?;
    let count = sqlx::query_scalar(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1",
    )
    .bind(database.name())
    .fetch_one(&mut admin)
    .await?;
    Ok(count)
}
