//! What is SQLite's own: the file, its damage, its bounds, and the power.

mod audit;
mod damage;
mod file;
mod power;
mod room;
mod texts;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Accept, Access, Catalog, NewEvent, NewRun, NewVersion, Reading, Tenant,
};
use tombolo_store::{SqliteSettings, SqliteStore};
use uuid::Uuid;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn tenant() -> TenantId {
    TenantId(Uuid::from_u128(1))
}

fn workflow() -> WorkflowId {
    WorkflowId(Uuid::from_u128(2))
}

fn run(n: u128) -> RunId {
    RunId(Uuid::from_u128(1000 + n))
}

fn event(n: u128, payload: &str) -> Accept {
    Accept {
        event: NewEvent {
            id: EventId(Uuid::from_u128(1000 + n)),
            tenant: tenant(),
            source: "hook:deals".to_owned(),
            dedupe_key: n.to_string(),
            fingerprint: None,
            payload: Json::from_value(payload.into()),
            correlation_id: n.to_string(),
            received_at: NOW,
        },
        runs: vec![NewRun {
            id: run(n),
            workflow: workflow(),
            version: 1,
            trigger: "deal_changed".to_owned(),
            deadline: None,
            lease: None,
            parent: None,
            depth: 0,
            replay_of: None,
            steps: Vec::new(),
            ended: None,
            flow: Default::default(),
        }],
        audit: None,
    }
}

/// Text that compression makes a quarter shorter at most: digits of the base 64 in no order, from a
/// generator of Marsaglia's (xorshift, 2003).
fn noise(bytes: usize) -> String {
    const DIGITS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let digits = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(DIGITS[(state >> 58) as usize])
    });
    digits.take(bytes).collect()
}

async fn open(path: &Path, settings: SqliteSettings) -> SqliteStore {
    SqliteStore::open(path, settings).await.unwrap()
}

/// A store with a tenant and a workflow.
async fn fresh(folder: &TempDir, settings: SqliteSettings) -> (PathBuf, SqliteStore) {
    let path = folder.path().join("tombolo.db");
    let store = open(&path, settings).await;
    let acme = Tenant { id: tenant(), name: "acme".to_owned() };
    store.ensure_tenant(acme, NOW).await.unwrap();
    let version = NewVersion {
        tenant: tenant(),
        id: workflow(),
        name: "deals".to_owned(),
        definition: Json::null(),
        pins: BTreeMap::new(),
        now: NOW,
        audit: None,
    };
    store.apply_workflow(version).await.unwrap();
    (path, store)
}

async fn has(store: &SqliteStore, n: u128) -> bool {
    store.run(tenant(), run(n)).await.unwrap().is_some()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The files as a power cut would leave them: the log has been flushed up to `wal_bytes`.
fn cut(path: &Path, folder: &TempDir, wal_bytes: Option<usize>) -> PathBuf {
    let copy = folder.path().join("tombolo.db");
    fs::copy(path, &copy).unwrap();
    let mut log = fs::read(with_suffix(path, "-wal")).unwrap();
    log.truncate(wal_bytes.unwrap_or(log.len()));
    fs::write(with_suffix(&copy, "-wal"), log).unwrap();
    copy
}
