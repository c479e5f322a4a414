//! A store on the disk: opened, checked from all sides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rusqlite::Connection;
use tombolo_core::json::Json;
use tombolo_core::ports::store::{Access, Catalog, NewVersion, StoreError, Tenant};
use tombolo_store::{SqliteSettings, SqliteStore};
use tombolo_tests::Disk;

use crate::ledger::Ledger;
use crate::story::{NOW, Stage, TENANT, WORKFLOW};

/// An empty disk.
pub fn disk() -> anyhow::Result<Disk> {
    Disk::start(Path::new(env!("CARGO_BIN_EXE_disk")))
}

/// A disk with a store on it.
pub struct Place {
    pub disk: Disk,
    pub settings: SqliteSettings,
    pub ledger: Ledger,
}

impl Place {
    pub fn new(settings: SqliteSettings) -> anyhow::Result<Self> {
        let disk = disk()?;
        Ok(Self { disk, settings, ledger: Ledger::default() })
    }

    pub fn file(&self) -> PathBuf {
        self.disk.join("tombolo.db")
    }

    /// Opens the store, and makes its tenant and workflow if they are missing.
    pub async fn open(&self) -> Result<SqliteStore, StoreError> {
        let store = SqliteStore::open(&self.file(), self.settings.clone()).await?;
        match prepare(&store).await {
            Ok(()) => Ok(store),
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
    }

    /// Checks that the store is whole and has what was acknowledged, at most what was tried, and
    /// nothing by halves.
    pub async fn check(&self, store: &SqliteStore) -> anyhow::Result<()> {
        for story in self.ledger.stories() {
            self.ledger.find(story, story.found(store).await?)?;
        }
        let file = self.file();
        let (started, ended) = (self.ledger.count(Stage::Started), self.ledger.count(Stage::Ended));
        let there = self.ledger.count(Stage::Accepted);
        tokio::task::spawn_blocking(move || {
            let connection = Connection::open(file)?;
            let all = [
                ("event", there),
                ("run", there),
                ("queue", there - ended),
                ("step", started + ended),
                ("effect", started),
                ("journal", started),
                ("state", started),
            ];
            for (table, rows) in all {
                let found = count(&connection, &format!("SELECT count(*) FROM {table}"))?;
                ensure!(found == rows, "{found} rows in {table}, {rows} were written");
            }
            is_whole(&connection)
        })
        .await?
    }

    /// The same after the power is gone and back again.
    pub async fn reopen_and_check(&self) -> anyhow::Result<SqliteStore> {
        self.disk.remount()?;
        let store = self.open().await.context("the store does not open after the cut")?;
        self.check(&store).await?;
        Ok(store)
    }
}

fn is_whole(connection: &Connection) -> anyhow::Result<()> {
    let says: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(says == "ok", "the file is damaged: {says}");
    let mut broken = connection.prepare("PRAGMA foreign_key_check")?;
    ensure!(!broken.exists([])?, "a row points to nothing");
    let lost = "SELECT count(*) FROM (
        SELECT payload_hash AS hash FROM event UNION ALL SELECT output_hash FROM run
        UNION ALL SELECT input_hash FROM step UNION ALL SELECT output_hash FROM step)
      WHERE hash IS NOT NULL AND hash NOT IN (SELECT hash FROM payload)";
    let lost = count(connection, lost)?;
    ensure!(lost == 0, "{lost} long texts are missing");
    let lost = "SELECT count(*) FROM (
        SELECT pack FROM event UNION ALL SELECT pack FROM run UNION ALL SELECT output_pack FROM run
        UNION ALL SELECT pack FROM step UNION ALL SELECT pack FROM effect
        UNION ALL SELECT before FROM pack)
      WHERE pack IS NOT NULL AND pack NOT IN (SELECT id FROM pack)";
    let lost = count(connection, lost)?;
    ensure!(lost == 0, "{lost} packs are missing");
    let owned = "WITH RECURSIVE owned (id) AS (
        SELECT pack FROM event UNION SELECT pack FROM run
        UNION SELECT p.before FROM owned o JOIN pack p ON p.id = o.id)
      SELECT count(*) FROM pack WHERE id NOT IN (SELECT id FROM owned WHERE id IS NOT NULL)";
    let forgotten = count(connection, owned)?;
    ensure!(forgotten == 0, "{forgotten} packs belong to no run and no event");
    let known = count(connection, "SELECT count(*) FROM dedupe")?;
    let events = count(connection, "SELECT count(*) FROM event")?;
    ensure!(known == events, "{known} keys of {events} events");
    Ok(())
}

fn count(connection: &Connection, query: &str) -> anyhow::Result<u64> {
    let found: i64 = connection.query_row(query, [], |row| row.get(0))?;
    Ok(u64::try_from(found)?)
}

/// Makes tenant and workflow, if they are missing.
pub async fn prepare(store: &SqliteStore) -> Result<(), StoreError> {
    let tenant = Tenant { id: TENANT, name: "acme".to_owned() };
    store.ensure_tenant(tenant, NOW).await?;
    let version = NewVersion {
        tenant: TENANT,
        id: WORKFLOW,
        name: "deals".to_owned(),
        definition: Json::null(),
        pins: BTreeMap::new(),
        now: NOW,
        audit: None,
    };
    store.apply_workflow(version).await.map(drop)
}
