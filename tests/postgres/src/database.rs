//! Fresh databases on a server.

use std::sync::OnceLock;

use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use uuid::Uuid;

use crate::{Durable, Server};

/// Names the server that tests are to use.
const VARIABLE: &str = "TEST_DATABASE_URL";

/// The server that tests share.
static SHARED: OnceLock<Result<Shared, String>> = OnceLock::new();

/// Where the server is, and what keeps it running.
struct Shared {
    admin_url: String,
    _server: Option<Server>,
}

/// A database of its own, which goes when it is dropped.
#[derive(Debug)]
pub struct Database {
    admin_url: String,
    name: String,
    /// Whose it is: its password is its name.
    owner: String,
}

impl Database {
    /// Makes one on the server that tests share.
    ///
    /// # Errors
    /// If there is no server, or it refuses.
    pub async fn fresh() -> Result<Self> {
        let shared = SHARED.get_or_init(|| shared().map_err(|error| format!("{error:#}")));
        let shared = shared.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
        Self::on(&shared.admin_url).await
    }

    /// Makes one on the server of that address, with a user of the same name who owns it.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn on(admin_url: &str) -> Result<Self> {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let database = Self { admin_url: admin_url.to_owned(), owner: name.clone(), name };
        let name = &database.name;
        let mut admin = database.admin().await?;
        for statement in [
            format!("CREATE USER {name} PASSWORD '{name}' NOSUPERUSER NOBYPASSRLS"),
            format!("CREATE DATABASE {name} OWNER {name}"),
        ] {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await?;
        }
        Ok(database)
    }

    /// Makes another one that begins as this one is, for the same owner, whom this one takes along
    /// when it goes. Nobody may be connected to it.
    ///
    /// # Errors
    /// If somebody is, or the server refuses.
    pub async fn copy(&self) -> Result<Self> {
        let copy = Self {
            admin_url: self.admin_url.clone(),
            name: format!("test_{}", Uuid::new_v4().simple()),
            owner: self.owner.clone(),
        };
        let statement =
            format!("CREATE DATABASE {} TEMPLATE {} OWNER {}", copy.name, self.name, self.owner);
        sqlx::query(AssertSqlSafe(statement)).execute(&mut self.admin().await?).await?;
        Ok(copy)
    }

    /// The same database on another server, which has taken over.
    pub fn moved_to(&mut self, admin_url: &str) {
        admin_url.clone_into(&mut self.admin_url);
    }

    /// What the server calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address, for its owner.
    pub fn url(&self) -> String {
        let (name, owner, admin) = (&self.name, &self.owner, &self.admin_url);
        let server = admin.split_once('@').map_or(admin.as_str(), |(_, server)| server);
        let server = server.split('/').next().unwrap_or(server);
        format!("postgres://{owner}:{owner}@{server}/{name}")
    }

    /// A connection of the superuser's to the server.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn admin(&self) -> Result<PgConnection> {
        connect(&self.admin_url).await
    }

    /// A connection of its owner's.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn connect(&self) -> Result<PgConnection> {
        connect(&self.url()).await
    }

    /// A connection of the superuser's to the database, which sees everything in it.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn look(&self) -> Result<PgConnection> {
        let options: sqlx::postgres::PgConnectOptions = self.admin_url.parse()?;
        Ok(options.database(&self.name).connect().await?)
    }
}

impl Drop for Database {
    /// Ends whoever is connected.
    fn drop(&mut self) {
        let mut statements = vec![format!("DROP DATABASE {} WITH (FORCE)", self.name)];
        if self.owner == self.name {
            statements.push(format!("DROP USER {}", self.owner));
        }
        let admin_url = self.admin_url.clone();
        // The thread that drops it may be one that drives futures, and must not wait for another.
        let removed = std::thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(remove(&admin_url, statements))
        });
        if !matches!(removed.join(), Ok(Ok(()))) && !std::thread::panicking() {
            eprintln!("the database {} is left behind", self.name);
        }
    }
}

async fn remove(admin_url: &str, statements: Vec<String>) -> Result<()> {
    let mut admin = connect(admin_url).await?;
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await?;
    }
    Ok(admin.close().await?)
}

async fn connect(url: &str) -> Result<PgConnection> {
    PgConnection::connect(url).await.with_context(|| format!("connecting to {url}"))
}

fn shared() -> Result<Shared> {
    if let Ok(admin_url) = std::env::var(VARIABLE) {
        return Ok(Shared { admin_url, _server: None });
    }
    let server = Server::start(Durable::No)?;
    Ok(Shared { admin_url: server.admin_url(), _server: Some(server) })
}
