//! A file with every kind of row, made through the port.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tempfile::TempDir;
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, IdSource, RunId, TenantId, TokenId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Accept, Accepted, Access, Applied, Catalog, Lease, NewEvent, NewRun, NewVersion, Next,
    QuotaChange, RunLog, Scope, Settle, StepKey, Tenant, Token, WorkerId,
};
use tombolo_core::quota::Quotas;
use tombolo_core::run::RunState;
use tombolo_store::{SqliteSettings, SqliteStore, Synchronous};
use uuid::Uuid;

pub const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// After every time of the clock of whoever runs the tests.
pub const FAR: Timestamp = Timestamp(4_000_000_000_000);

/// This many milliseconds after [`NOW`].
pub fn after(ms: i64) -> Timestamp {
    Timestamp(NOW.0 + ms)
}

/// Ids that count up.
#[derive(Default)]
pub struct Ids(AtomicU64);

impl IdSource for Ids {
    fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}

/// A file that is open.
pub struct Scene {
    folder: TempDir,
    pub store: SqliteStore,
    pub ids: Ids,
}

/// A tenant with a workflow.
#[derive(Debug, Clone, Copy)]
pub struct Home {
    pub tenant: TenantId,
    pub workflow: WorkflowId,
}

impl Scene {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        Self { folder, store, ids: Ids::default() }
    }

    pub fn path(&self) -> PathBuf {
        path(&self.folder)
    }

    /// Closes the file, as a server does that is stopped.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// Opens it again.
    pub async fn reopen(&mut self) {
        self.store.close().await;
        self.store = open(&self.folder).await;
    }

    /// A tenant with a token, a workflow of two versions, and entries in the audit.
    pub async fn home(&self, name: &str) -> Home {
        let tenant = Tenant { id: TenantId::new(&self.ids), name: name.to_owned() };
        let tenant = self.store.ensure_tenant(tenant, NOW).await.unwrap().id;
        self.store.put_token(self.token(tenant), None).await.unwrap();
        let quotas = Quotas { runs_per_minute: Some(600), ..Quotas::default() };
        self.store
            .set_quotas(tenant, QuotaChange { before: Quotas::default(), after: quotas }, None)
            .await
            .unwrap();
        let workflow = self.workflow(tenant, "deals", 1).await;
        assert_eq!(self.workflow(tenant, "deals", 2).await, workflow);
        for n in 0..3 {
            self.store.record(tenant, deed(after(n), "a\u{0}b")).await.unwrap();
        }
        Home { tenant, workflow }
    }

    fn token(&self, tenant: TenantId) -> Token {
        let id = TokenId::new(&self.ids);
        let mut hash = [0; 32];
        hash[..16].copy_from_slice(id.0.as_bytes());
        Token {
            id,
            tenant,
            name: "ci".to_owned(),
            hash,
            scopes: vec![Scope::RunsRead, Scope::WorkflowsWrite],
            created_at: NOW,
            expires_at: Some(after(1)),
            prefix: Some("tbl_abcdef".to_owned()),
            last_used_at: Some(after(2)),
            revoked_at: Some(after(3)),
        }
    }

    async fn workflow(&self, tenant: TenantId, name: &str, version: u32) -> WorkflowId {
        let new = NewVersion {
            tenant,
            id: WorkflowId::new(&self.ids),
            name: name.to_owned(),
            definition: Json::from_value(json!({ "name": name, "version": version })),
            pins: BTreeMap::new(),
            now: after(version.into()),
            audit: None,
        };
        match self.store.apply_workflow(new).await.unwrap() {
            Applied::Created { id, version: applied } if applied == version => id,
            other => panic!("version {version}, and {other:?}"),
        }
    }

    /// An event with one run that is queued.
    pub fn event(&self, home: Home, key: &str) -> Accept {
        Accept {
            event: NewEvent {
                id: EventId::new(&self.ids),
                tenant: home.tenant,
                source: "hook:deals".to_owned(),
                dedupe_key: key.to_owned(),
                fingerprint: Some([7; 32]),
                payload: Json::from_value(json!({ "event": { "key": key } })),
                correlation_id: format!("correlation-{key}"),
                received_at: NOW,
            },
            runs: vec![self.run(home)],
            audit: None,
        }
    }

    /// A run that is queued.
    pub fn run(&self, home: Home) -> NewRun {
        NewRun {
            id: RunId::new(&self.ids),
            workflow: home.workflow,
            version: 2,
            trigger: "deal_changed".to_owned(),
            deadline: Some(after(36_000_000)),
            lease: None,
            parent: None,
            depth: 0,
            replay_of: None,
            steps: Vec::new(),
            ended: None,
            flow: Default::default(),
        }
    }

    pub async fn accept(&self, accept: Accept) -> RunId {
        match &self.store.accept(vec![accept]).await.unwrap()[..] {
            [Accepted::New { runs, .. }] => runs.first().copied().unwrap_or(RunId(Uuid::nil())),
            other => panic!("{other:?}"),
        }
    }

    /// An event whose run somebody holds.
    pub async fn hold(&self, home: Home, key: &str) -> Lease {
        let mut accept = self.event(home, key);
        accept.runs[0].lease = Some((worker("gone"), after(30_000)));
        let run = self.accept(accept).await;
        Lease { run, owner: worker("gone"), epoch: 1 }
    }
}

async fn open(folder: &TempDir) -> SqliteStore {
    let settings = SqliteSettings { synchronous: Synchronous::Normal, ..SqliteSettings::default() };
    SqliteStore::open(&path(folder), settings).await.unwrap()
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("tombolo.db")
}

pub fn worker(name: &str) -> WorkerId {
    WorkerId(name.to_owned())
}

/// The step of that name.
pub fn key(node: &str) -> StepKey {
    StepKey { node: node.to_owned(), item: 0 }
}

pub fn ended(state: RunState) -> Next {
    Next::End { state, output: Some(Json::from_value(json!({ "was": state.name() }))), error: None }
}

pub fn waiting(available_at: Option<Timestamp>) -> Next {
    Next::Park { state: RunState::Waiting, available_at, connections: BTreeSet::new() }
}

/// Results of a run: nothing yet.
pub fn results(home: Home, lease: &Lease, next: Next) -> Settle {
    Settle::new(home.tenant, lease.clone(), next, after(100))
}

pub fn deed(at: Timestamp, subject: &str) -> AuditEntry {
    AuditEntry {
        at,
        actor: Actor("token:tok_1".to_owned()),
        action: "step-redriven".to_owned(),
        subject: subject.to_owned(),
        detail: json!({ "was": "a\u{0}b" }),
        correlation_id: None,
    }
}
