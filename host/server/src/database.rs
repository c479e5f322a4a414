//! The database: a file of this process's own, or a server that many processes share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tombolo_core::clock::{Clock, Timestamp};
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{Access, AuditTrail, Store, StoreError};
use tombolo_store::{PostgresStore, SqliteStore, SqliteTrail};

use crate::config::Config;
use crate::system::{SharedClock, System};

/// How often the time of a server is read.
const CLOCK_EVERY: Duration = Duration::from_secs(10);

/// Where everything durable is.
#[derive(Clone)]
pub enum Database {
    /// A file.
    Sqlite(Arc<SqliteStore>),
    /// A server.
    Postgres(Arc<PostgresStore>),
}

/// Which one the configuration names.
pub enum Place {
    /// A file.
    File(PathBuf),
    /// A server's address, with a password.
    Server(String),
}

impl Place {
    /// The server of the variable that the configuration names, if it is set; else the file.
    ///
    /// # Errors
    /// If the variable names something else than PostgreSQL.
    pub fn of(config: &Config) -> Result<Self> {
        let variable = &config.store.url_env;
        #[expect(
            clippy::disallowed_methods,
            reason = "the operator named this variable as the place of the address"
        )]
        let Ok(url) = std::env::var(variable) else {
            return Ok(Self::File(config.data.database()));
        };
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Server(url));
        }
        bail!(
            "the variable {variable} holds no address of PostgreSQL (postgres://..); without it the \
             database is a file in the data folder"
        )
    }
}

impl Database {
    /// Opens it.
    ///
    /// # Errors
    /// If it cannot be opened; the text says which and why.
    pub async fn open(config: &Config) -> Result<Self> {
        match Place::of(config)? {
            Place::File(path) => {
                let store = SqliteStore::open(&path, config.store.sqlite())
                    .await
                    .with_context(|| format!("the database {} cannot be opened", path.display()))?;
                Ok(Self::Sqlite(Arc::new(store)))
            }
            Place::Server(url) => {
                let store = PostgresStore::open(config.store.postgres(&config.postgres, url))
                    .await
                    .with_context(|| {
                        format!("the database of {} cannot be opened", config.store.url_env)
                    })?;
                Ok(Self::Postgres(Arc::new(store)))
            }
        }
    }

    /// The port.
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => store.clone(),
            Self::Postgres(store) => store.clone(),
        }
    }

    /// True if other processes may write to it.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// The time by which leases are counted: of this machine, or of the server.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn clock(&self) -> Result<Arc<dyn Clock>, StoreError> {
        let Self::Postgres(store) = self else {
            return Ok(Arc::new(System));
        };
        let (time, at) = read(store).await?;
        let clock = Arc::new(SharedClock::new(time, at));
        tokio::spawn(keep_right(store.clone(), clock.clone()));
        Ok(clock)
    }

    /// Finishes what waits to be written, and closes it.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

/// The record of what people did, for who checks it: the database is only looked at.
pub enum RecordOf {
    /// In a file.
    Sqlite(SqliteTrail),
    /// On a server.
    Postgres(Arc<PostgresStore>),
}

impl RecordOf {
    /// Opens it.
    ///
    /// # Errors
    /// If it is not there, or of another version.
    pub async fn open(config: &Config) -> Result<Self> {
        match Place::of(config)? {
            Place::File(path) => Ok(Self::Sqlite(SqliteTrail::open(&path).await?)),
            Place::Server(url) => {
                let settings = config.store.postgres(&config.postgres, url);
                Ok(Self::Postgres(Arc::new(PostgresStore::look(settings).await?)))
            }
        }
    }

    /// The port.
    pub fn trail(&self) -> &dyn AuditTrail {
        match self {
            Self::Sqlite(trail) => trail,
            Self::Postgres(store) => &**store,
        }
    }

    /// All tenants.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        match self {
            Self::Sqlite(trail) => trail.tenants().await,
            Self::Postgres(store) => store.tenants().await,
        }
    }

    /// The id of a tenant by its name.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn tenant(&self, name: &str) -> Result<Option<TenantId>, StoreError> {
        match self {
            Self::Sqlite(trail) => trail.tenant(name).await,
            Self::Postgres(store) => {
                Ok(Access::tenant(&**store, name).await?.map(|tenant| tenant.id))
            }
        }
    }
}

/// The server's time, and when it was that here.
async fn read(store: &PostgresStore) -> Result<(Timestamp, Instant), StoreError> {
    let asked = Instant::now();
    let time = store.time().await?;
    // In the middle between the question and the answer.
    Ok((time, asked + asked.elapsed() / 2))
}

/// Reads the server's time again and again, until the store is closed.
async fn keep_right(store: Arc<PostgresStore>, clock: Arc<SharedClock>) {
    while !store.is_closed() {
        tokio::time::sleep(CLOCK_EVERY).await;
        match read(&store).await {
            Ok((time, at)) => clock.set(time, at),
            Err(_) if store.is_closed() => {}
            Err(error) => tracing::warn!(%error, "the time of the database is read later"),
        }
    }
}
