//! SQLite under test: a file in a folder of its own.

use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use tombolo_core::ports::store::Store;
use tombolo_store::{Bounds, SqliteSettings, SqliteStore};

use crate::world::{Database, OnDisk};

pub struct Sqlite {
    folder: TempDir,
    store: Arc<SqliteStore>,
}

impl Sqlite {
    pub async fn new(bounds: Bounds) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder, bounds).await;
        Self { folder, store }
    }
}

async fn open(folder: &TempDir, bounds: Bounds) -> Arc<SqliteStore> {
    let settings = SqliteSettings { bounds, ..SqliteSettings::default() };
    let path = folder.path().join("tombolo.db");
    Arc::new(SqliteStore::open(&path, settings).await.unwrap())
}

#[async_trait]
impl Database for Sqlite {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn close(&self) {
        self.store.close().await;
    }

    async fn hold_writes(&self) -> Box<dyn Send> {
        let path = self.folder.path().join("tombolo.db");
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        Box::new(connection)
    }

    async fn fresh(&self) -> Box<dyn Database> {
        Box::new(Self::new(Bounds::default()).await)
    }

    async fn reopen(&mut self, bounds: Bounds) {
        self.store.close().await;
        self.store = open(&self.folder, bounds).await;
    }

    async fn on_disk(&self) -> OnDisk {
        let file = std::fs::metadata(self.folder.path().join("tombolo.db")).unwrap();
        OnDisk::Shrinks(file.len())
    }
}
