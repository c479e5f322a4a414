//! Opening the database: settings, migrations, and whether it keeps tenants apart.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use tombolo_core::ports::store::StoreError;

use super::error::Fault;
use super::scope::HostTx;
use crate::group::Bounds;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// The oldest server whose features suffice, as `server_version_num` has it.
const OLDEST_SERVER: i32 = 140_000;

/// SQLSTATE of a right that is lacking.
const NO_RIGHT: &str = "42501";

/// Settings of the store. Every bound has a name and a default.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresSettings {
    /// `postgres://user:password@host/database`, with `sslmode` and the like as parameters.
    pub url: String,
    /// How much may wait to be written, and how much is written at once.
    pub bounds: Bounds,
    /// Transactions of results that are under way at the same time.
    pub writers: usize,
    /// Connections that a process opens at most, those of the writers among them.
    pub connections: u32,
    /// How long a query waits for a free connection, and a connection to be made.
    pub connect_timeout: Duration,
    /// How long a statement waits for a lock. It is tried again after it.
    pub lock_timeout: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
    /// How long the server waits for the next statement of a transaction: so long it keeps what a
    /// process that is cut off has locked.
    pub idle_in_transaction_timeout: Duration,
    /// How long what was read of a connection to a system is taken to be so: another process may
    /// have changed it.
    pub remembers_connections_for: Duration,
}

impl std::fmt::Debug for PostgresSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address holds a password.
        formatter
            .debug_struct("PostgresSettings")
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

impl PostgresSettings {
    /// Defaults, for the database at this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            bounds: Bounds::default(),
            writers: 2,
            connections: 16,
            connect_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(60),
            idle_in_transaction_timeout: Duration::from_secs(15),
            remembers_connections_for: Duration::from_secs(1),
        }
    }

    /// One at least.
    pub(crate) fn writers(&self) -> u32 {
        u32::try_from(self.writers).unwrap_or(u32::MAX).max(1)
    }

    fn options(&self) -> Result<PgConnectOptions, StoreError> {
        let options = PgConnectOptions::from_str(&self.url).map_err(|error| {
            StoreError::Database(format!("the address of the database: {error}"))
        })?;
        Ok(options.application_name("tombolo").disable_statement_logging())
    }

    /// What our statements need. They all go along an index: a plan that was made when a table was
    /// empty must not read all of it when it is large. `plan_cache_mode`: a plan is made once.
    fn session(&self) -> Vec<(&'static str, String)> {
        let ms = |time: Duration| time.as_millis().to_string();
        vec![
            ("enable_seqscan", "off".to_owned()),
            ("enable_hashjoin", "off".to_owned()),
            ("enable_mergejoin", "off".to_owned()),
            ("jit", "off".to_owned()),
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            ("lock_timeout", ms(self.lock_timeout)),
            ("statement_timeout", ms(self.statement_timeout)),
            ("idle_in_transaction_session_timeout", ms(self.idle_in_transaction_timeout)),
        ]
    }
}

/// Prepared statements kept per connection: more than there are.
const STATEMENTS: usize = 256;

/// Brings the schema up to date, looks at what the database lets us see, and gives connections to it.
pub(crate) async fn open(settings: &PostgresSettings) -> Result<PgPool, StoreError> {
    let options = settings.options()?;
    let mut connection = options.connect().await.map_err(fault)?;
    check_server(&mut connection).await?;
    // First: what a user makes for whom no policy holds is theirs, and nobody else's to use.
    check_user(&mut connection).await?;
    migrate(&mut connection).await?;
    check_tables(&mut connection).await?;
    sqlx::Connection::close(connection).await.map_err(fault)?;
    connections(settings, options.options(settings.session())).await
}

/// The same for a database that is only looked at: its schema has to be ours already, and no
/// transaction can write.
pub(super) async fn look(settings: &PostgresSettings) -> Result<PgPool, StoreError> {
    let options = settings.options()?;
    let mut connection = options.connect().await.map_err(fault)?;
    check_server(&mut connection).await?;
    let (applied, known) = (applied(&mut connection).await?, known());
    if applied != known {
        return Err(StoreError::Refused(format!(
            "the database is of another version of Tombolo (schema {}, this one reads {}): a server of \
             this version upgrades it when it starts",
            applied.unwrap_or_default(),
            known.unwrap_or_default(),
        )));
    }
    check_user(&mut connection).await?;
    check_tables(&mut connection).await?;
    sqlx::Connection::close(connection).await.map_err(fault)?;
    let read_only = [("default_transaction_read_only", "on")];
    connections(settings, options.options(settings.session()).options(read_only)).await
}

/// Those of everybody but the writers: one at least.
async fn connections(
    settings: &PostgresSettings,
    options: PgConnectOptions,
) -> Result<PgPool, StoreError> {
    let others = settings.connections.saturating_sub(settings.writers()).max(1);
    pool(settings, others)
        .connect_with(options.statement_cache_capacity(STATEMENTS))
        .await
        .map_err(fault)
}

/// Those of the writers, one for each, which are there as long as the store is: results are written
/// also while reads take all the others, and while the server has none left to give.
pub(super) async fn of_writers(
    settings: &PostgresSettings,
    others: &PgPool,
) -> Result<PgPool, StoreError> {
    let options = PgConnectOptions::clone(&others.connect_options());
    pool(settings, settings.writers())
        .min_connections(settings.writers())
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
        .map_err(fault)
}

fn pool(settings: &PostgresSettings, connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(settings.connect_timeout)
        .test_before_acquire(false)
}

/// The schema that this version works on.
fn known() -> Option<i64> {
    MIGRATIONS.iter().map(|migration| migration.version).max()
}

async fn check_server(connection: &mut PgConnection) -> Result<(), StoreError> {
    let version: String = sqlx::query_scalar("SELECT current_setting('server_version_num')")
        .fetch_one(connection)
        .await
        .map_err(fault)?;
    check_version(version.parse().unwrap_or(0))
}

/// Refuses a server that is too old. Since PostgreSQL 10 the number is 10,000 times the version.
fn check_version(number: i32) -> Result<(), StoreError> {
    if number >= OLDEST_SERVER {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "the server is PostgreSQL {} (server_version_num {number}), and Tombolo needs {} or newer: \
         upgrade the server",
        number / 10_000,
        OLDEST_SERVER / 10_000,
    )))
}

/// Applies what is missing. A process that may change no tables starts if nothing is.
async fn migrate(connection: &mut PgConnection) -> Result<(), StoreError> {
    let (applied, known) = (applied(connection).await?, known());
    if applied > known {
        return Err(StoreError::Database(format!(
            "the database was written by a newer version of Tombolo (schema {}, this one knows {}); \
             update Tombolo",
            applied.unwrap_or_default(),
            known.unwrap_or_default(),
        )));
    }
    if applied == known {
        return Ok(());
    }
    // Under a lock of the database's, so that of several processes that start one does it.
    MIGRATIONS.run_direct(None, connection, false).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            match code(&error).as_deref() {
                Some(NO_RIGHT) => not_by_us(applied, known, &error),
                _ => fault(error),
            }
        }
        other => StoreError::Database(format!("the schema: {other}")),
    })
}

/// The schema is to be changed, and not by this user.
fn not_by_us(applied: Option<i64>, known: Option<i64>, error: &sqlx::Error) -> StoreError {
    StoreError::Refused(format!(
        "the schema is {} and this version of Tombolo needs {}, and the user of DATABASE_URL may not \
         change it ({error}): start Tombolo once as the owner of the tables, see docs/deploy.md",
        applied.unwrap_or_default(),
        known.unwrap_or_default(),
    ))
}

/// The latest migration of the database; None of one that has none.
async fn applied(connection: &mut PgConnection) -> Result<Option<i64>, StoreError> {
    let table: Option<String> = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations')::text")
        .fetch_one(&mut *connection)
        .await
        .map_err(fault)?;
    if table.is_none() {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
        .fetch_one(connection)
        .await
        .map_err(|error| match code(&error).as_deref() {
            Some(NO_RIGHT) => StoreError::Refused(format!(
                "the tables are somebody else's, and the user of DATABASE_URL may not read them \
                 ({error}): use their owner, or grant what docs/deploy.md lists"
            )),
            _ => fault(error),
        })
}

/// Refuses to work as somebody from whom tenants are not kept apart.
async fn check_user(connection: &mut PgConnection) -> Result<(), StoreError> {
    let passes: bool = sqlx::query_scalar(
        "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(fault)?;
    if passes {
        return Err(StoreError::Refused(
            "the user of DATABASE_URL is a superuser or has BYPASSRLS: the database would not keep \
             tenants apart. Use one that is neither, see docs/deploy.md"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Refuses tables in which tenants are not kept apart.
async fn check_tables(connection: &mut PgConnection) -> Result<(), StoreError> {
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
           AND (c.relname = 'tenant' OR EXISTS (
             SELECT 1 FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
           AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
         ORDER BY c.relname",
    )
    .fetch_all(connection)
    .await
    .map_err(fault)?;
    if open.is_empty() {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "row-level security is not on and forced for the tables {}: the database would not keep \
         tenants apart. ALTER TABLE .. ENABLE ROW LEVEL SECURITY, and FORCE",
        open.join(", ")
    )))
}

/// Refuses a database that not all of a copy has come to.
pub(super) async fn refuse_part_of_a_copy(pool: &PgPool) -> Result<(), StoreError> {
    Ok(refuse_part(&mut *pool.acquire().await.map_err(fault)?).await?)
}

/// Whoever marks a database as a copy, and whoever begins to use one, does it alone: a server that
/// starts at the moment when a copy does is refused, or the copy is.
pub(crate) async fn one_at_a_time(tx: &mut HostTx<'_>) -> Result<(), Fault> {
    sqlx::query("LOCK TABLE copy IN SHARE ROW EXCLUSIVE MODE").execute(tx.sql()).await?;
    Ok(())
}

/// The same as [`refuse_part_of_a_copy`], within a transaction.
pub(super) async fn refuse_part(connection: &mut PgConnection) -> Result<(), Fault> {
    let part: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM copy)").fetch_one(connection).await?;
    if !part {
        return Ok(());
    }
    Err(Fault::Refused(
        "it holds a part of a copy from SQLite, which is under way or was cut off. Wait until \
         `tombolo store copy` has ended, or begin it anew with `tombolo store copy --again`"
            .to_owned(),
    ))
}

/// The SQLSTATE.
fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error().and_then(|error| error.code())
}

fn fault(error: sqlx::Error) -> StoreError {
    Fault::from(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_refused() {
        for number in [0, 90_624, 130_099] {
            let refused = check_version(number).unwrap_err();
            assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
            assert!(refused.to_string().contains("14 or newer: upgrade the server"), "{refused}");
        }
        for number in [140_000, 150_018, 170_002, 180_000] {
            assert_eq!(check_version(number), Ok(()));
        }
    }
}
