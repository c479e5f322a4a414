//! The databases that are tampered with, by whoever may do everything with them.

use std::path::PathBuf;

use rusqlite::Connection;
use sqlx::{AssertSqlSafe, Executor};
use tempfile::TempDir;
use tombolo_core::audit::{CheckpointHistory, Verdict};
use tombolo_core::ports::store::Store;
use tombolo_engine::verify_record;
use tombolo_store::{PostgresSettings, PostgresStore, SqliteSettings, SqliteStore, SqliteTrail};
use tombolo_test_postgres::Database;

use super::ACME;

/// A database.
pub enum Base {
    File { _folder: TempDir, path: PathBuf },
    Postgres(Database),
}

impl Base {
    pub fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::File { path: folder.path().join("tombolo.db"), _folder: folder }
    }

    pub async fn postgres() -> Self {
        Self::Postgres(Database::fresh().await.unwrap())
    }

    /// Opens the store for a while.
    pub async fn with_store(&self, work: impl AsyncFnOnce(&dyn Store)) {
        match self {
            Self::File { path, .. } => {
                let store = SqliteStore::open(path, SqliteSettings::default()).await.unwrap();
                work(&store).await;
                store.close().await;
            }
            Self::Postgres(database) => {
                let settings = PostgresSettings::new(database.url());
                let store = PostgresStore::open(settings).await.unwrap();
                work(&store).await;
                store.close().await;
            }
        }
    }

    /// What an auditor finds, who looks and changes nothing.
    pub async fn verdicts(&self, history: &CheckpointHistory) -> Vec<Verdict> {
        match self {
            Self::File { path, .. } => {
                let trail = SqliteTrail::open(path).await.unwrap();
                let tenants = trail.tenants().await.unwrap();
                verify_record(&trail, tenants, history).await.unwrap()
            }
            Self::Postgres(database) => {
                let settings = PostgresSettings::new(database.url());
                let store = PostgresStore::look(settings).await.unwrap();
                let tenants = store.tenants().await.unwrap();
                let verdicts = verify_record(&store, tenants, history).await.unwrap();
                store.close().await;
                verdicts
            }
        }
    }

    /// Statements in which `{acme}` stands for a condition on its rows, `{id}` for its id, `{zeros}`
    /// for a hash, and `{short}` for what is none.
    pub fn spelled(&self, statements: &str) -> String {
        let id = match self {
            Self::File { .. } => self.bytes(ACME.0.as_bytes()),
            Self::Postgres(_) => format!("'{}'::uuid", ACME.0),
        };
        statements
            .replace("{acme}", &format!("tenant_id = {id}"))
            .replace("{id}", &id)
            .replace("{zeros}", &self.bytes(&[0; 32]))
            .replace("{short}", &self.bytes(&[0]))
    }

    /// Bytes as SQL spells them.
    pub fn bytes(&self, bytes: &[u8]) -> String {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::File { .. } => format!("x'{hex}'"),
            Self::Postgres(_) => format!("'\\x{hex}'::bytea"),
        }
    }

    /// Runs statements while no trigger keeps them back.
    pub async fn without_triggers(&self, statements: &str) {
        match self {
            Self::File { path, .. } => {
                let file = Connection::open(path).unwrap();
                let triggers: Vec<String> = file
                    .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
                    .unwrap()
                    .query_map([], |row| row.get(0))
                    .unwrap()
                    .collect::<Result<_, _>>()
                    .unwrap();
                for trigger in triggers {
                    file.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
                }
                file.execute_batch(statements).unwrap();
            }
            Self::Postgres(database) => {
                let mut superuser = database.look().await.unwrap();
                superuser.execute("SET session_replication_role = replica").await.unwrap();
                let statements = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
                superuser.execute(statements).await.unwrap();
            }
        }
    }

    /// A text of an entry of acme's.
    pub async fn text(&self, column: &str, seq: u64) -> String {
        let select = format!("SELECT {column} FROM audit WHERE {{acme}} AND seq = {seq}");
        let select = self.spelled(&select);
        match self {
            Self::File { path, .. } => {
                let file = Connection::open(path).unwrap();
                file.query_row(&select, [], |row| row.get(0)).unwrap()
            }
            Self::Postgres(database) => {
                let mut superuser = database.look().await.unwrap();
                sqlx::query_scalar(AssertSqlSafe(select)).fetch_one(&mut superuser).await.unwrap()
            }
        }
    }
}
