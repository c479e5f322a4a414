//! PostgreSQL under test: a database of its own on the server that tests share.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::Executor;
use tombolo_core::ports::store::Store;
use tombolo_store::{Bounds, PostgresSettings, PostgresStore};

use crate::world::{Database, OnDisk};

pub struct Postgres {
    database: tombolo_test_postgres::Database,
    store: Arc<PostgresStore>,
}

impl Postgres {
    pub async fn new(bounds: Bounds) -> Self {
        let database = tombolo_test_postgres::Database::fresh().await.unwrap();
        let store = open(&database, bounds).await;
        Self { database, store }
    }
}

async fn open(database: &tombolo_test_postgres::Database, bounds: Bounds) -> Arc<PostgresStore> {
    // One writer where it matters how much waits for it.
    let writers = if bounds == Bounds::default() { 2 } else { 1 };
    let settings = PostgresSettings {
        bounds,
        writers,
        connections: 6,
        ..PostgresSettings::new(database.url())
    };
    Arc::new(PostgresStore::open(settings).await.unwrap())
}

#[async_trait]
impl Database for Postgres {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn close(&self) {
        self.store.close().await;
    }

    async fn hold_writes(&self) -> Box<dyn Send> {
        let mut connection = self.database.connect().await.unwrap();
        connection.execute("BEGIN; LOCK TABLE event IN EXCLUSIVE MODE").await.unwrap();
        Box::new(connection)
    }

    async fn fresh(&self) -> Box<dyn Database> {
        Box::new(Self::new(Bounds::default()).await)
    }

    async fn reopen(&mut self, bounds: Bounds) {
        self.store.close().await;
        self.store = open(&self.database, bounds).await;
    }

    async fn on_disk(&self) -> OnDisk {
        let mut connection = self.database.look().await.unwrap();
        connection.execute("VACUUM").await.unwrap();
        let bytes: i64 = sqlx::query_scalar("SELECT pg_database_size(current_database())")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        OnDisk::Reuses(bytes.unsigned_abs())
    }
}
