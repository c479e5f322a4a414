//! A process that is killed while it writes: every write it was answered for is there afterwards.
//!
//! This file is its own child: started with a path it writes and reports each answer on a line.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Accept, Access, Catalog, NewEvent, NewRun, NewVersion, Reading, RunLog, Tenant,
};
use tombolo_store::{SqliteSettings, SqliteStore};
use uuid::Uuid;

/// Says to the child which file to write.
const FILE: &str = "TOMBOLO_STORE_KILL_FILE";
const CALLERS: u128 = 8;
const ANSWERS: usize = 300;
const ROUNDS: usize = 3;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(file) = std::env::var_os(FILE) {
        runtime.block_on(write_on_and_on(Path::new(&file)));
    } else {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tombolo.db");
        let mut answered = Vec::new();
        for round in 0..ROUNDS {
            answered.extend(write_until_killed(&file));
            runtime.block_on(find_all(&file, &answered));
            println!("round {round}: all {} answered writes are there", answered.len());
        }
    }
}

/// Starts the child, reads some answers and kills it in the middle.
fn write_until_killed(file: &Path) -> Vec<RunId> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(FILE, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answered = Vec::new();
    for line in lines {
        // The last line may be torn.
        let Ok(run) = line.unwrap_or_default().parse() else { continue };
        answered.push(run);
        if answered.len() == ANSWERS {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(answered.len() >= ANSWERS, "only {} answers came", answered.len());
    answered
}

async fn find_all(file: &Path, answered: &[RunId]) {
    let store = SqliteStore::open(file, SqliteSettings::default()).await.unwrap();
    for run in answered {
        let found = store.run(tenant(), *run).await.unwrap();
        assert!(found.is_some(), "{run} was answered and is not there");
    }
    store.close().await;
}

fn tenant() -> TenantId {
    TenantId(Uuid::from_u128(1))
}

async fn write_on_and_on(file: &Path) {
    let store = SqliteStore::open(file, SqliteSettings::default()).await.unwrap();
    let acme = Tenant { id: tenant(), name: "acme".to_owned() };
    store.ensure_tenant(acme, Timestamp(0)).await.unwrap();
    let workflow = WorkflowId(Uuid::from_u128(2));
    let version = NewVersion {
        tenant: tenant(),
        id: workflow,
        name: "deals".to_owned(),
        definition: Json::null(),
        pins: BTreeMap::new(),
        now: Timestamp(0),
        audit: None,
    };
    store.apply_workflow(version).await.unwrap();
    // Ids of one child are not those of another.
    let base = u128::from(std::process::id()) << 64;
    let callers = (0..CALLERS).map(|caller| write_as(&store, workflow, base | caller << 32));
    futures_util::future::join_all(callers).await;
}

async fn write_as(store: &SqliteStore, workflow: WorkflowId, base: u128) {
    for n in base.. {
        let id = Uuid::from_u128(n);
        let event = NewEvent {
            id: EventId(id),
            tenant: tenant(),
            source: "hook:deals".to_owned(),
            dedupe_key: n.to_string(),
            fingerprint: None,
            payload: Json::null(),
            correlation_id: n.to_string(),
            received_at: Timestamp(0),
        };
        let run = NewRun {
            id: RunId(id),
            workflow,
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
        };
        store.accept(vec![Accept { event, runs: vec![run], audit: None }]).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", RunId(id)).unwrap();
        out.flush().unwrap();
    }
}
