//! What every test starts from: a database with a store, tenants with a workflow, and ids that count
//! up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, IdSource, RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Accept, Access, Applied, Catalog, Claim, Claimed, ClaimedRun, Lease, NewEvent, NewRun,
    NewVersion, Next, RunLog, Settle, StepRow, Tenant, Wanted, WorkerId,
};
use tombolo_core::run::{RunState, StepState};
use tombolo_store::{PostgresSettings, PostgresStore};
use tombolo_test_postgres::Database;
use uuid::Uuid;

pub const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// This many milliseconds after [`NOW`].
pub fn after(ms: i64) -> Timestamp {
    Timestamp(NOW.0 + ms)
}

/// Ids that count up, from one for all worlds of a process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ids;

static NEXT: AtomicU64 = AtomicU64::new(1);

impl IdSource for Ids {
    fn next(&self) -> Uuid {
        Uuid::from_u128(NEXT.fetch_add(1, Ordering::Relaxed).into())
    }
}

/// A tenant with a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub tenant: TenantId,
    pub workflow: WorkflowId,
}

pub struct World {
    pub database: Database,
    pub store: PostgresStore,
}

impl World {
    /// A fresh database on the server that tests share.
    pub async fn new() -> Self {
        Self::on(Database::fresh().await.unwrap()).await
    }

    pub async fn on(database: Database) -> Self {
        let store = PostgresStore::open(few(database.url())).await.unwrap();
        Self { database, store }
    }

    pub async fn owner(&self, name: &str) -> Owner {
        owner(&self.store, name).await
    }
}

/// Settings with few connections.
pub fn few(url: String) -> PostgresSettings {
    PostgresSettings { connections: 4, writers: 2, ..PostgresSettings::new(url) }
}

/// Makes a tenant with a workflow.
pub async fn owner(store: &PostgresStore, name: &str) -> Owner {
    let tenant = Tenant { id: TenantId::new(&Ids), name: name.to_owned() };
    let tenant = store.ensure_tenant(tenant, NOW).await.unwrap().id;
    let version = NewVersion {
        tenant,
        id: WorkflowId::new(&Ids),
        name: "deals".to_owned(),
        definition: Json::from_value(json!({ "name": "deals" })),
        pins: BTreeMap::new(),
        now: NOW,
        audit: None,
    };
    match store.apply_workflow(version).await.unwrap() {
        Applied::Created { id: workflow, .. } => Owner { tenant, workflow },
        other => panic!("a new workflow, and {other:?}"),
    }
}

impl Owner {
    /// An event with one run that is queued.
    pub fn event(&self, key: &str) -> Accept {
        Accept {
            event: NewEvent {
                id: EventId::new(&Ids),
                tenant: self.tenant,
                source: "hook:deals".to_owned(),
                dedupe_key: key.to_owned(),
                fingerprint: None,
                payload: Json::from_value(json!({ "key": key })),
                correlation_id: format!("correlation-{key}"),
                received_at: NOW,
            },
            runs: vec![NewRun {
                id: RunId::new(&Ids),
                workflow: self.workflow,
                version: 1,
                trigger: "deal_changed".to_owned(),
                deadline: Some(after(3_600_000)),
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

    /// The same with a run that `w` has until a minute from [`NOW`].
    pub fn leased(&self, key: &str) -> (Accept, Lease) {
        let mut accept = self.event(key);
        accept.runs[0].lease = Some((worker(), after(60_000)));
        let lease = Lease { run: accept.runs[0].id, owner: worker(), epoch: 1 };
        (accept, lease)
    }

    /// Results of a run: nothing yet.
    pub fn results(&self, lease: &Lease, next: Next) -> Settle {
        Settle::new(self.tenant, lease.clone(), next, after(100))
    }

    /// Accepts a run that is leased.
    pub async fn hold(&self, store: &PostgresStore, key: &str) -> Lease {
        let (accept, lease) = self.leased(key);
        store.accept(vec![accept]).await.unwrap();
        lease
    }
}

pub fn worker() -> WorkerId {
    WorkerId("w".to_owned())
}

/// Wants so many runs that are due at [`NOW`].
pub fn claim(limit: usize) -> Claim {
    Claim {
        worker: worker(),
        limit,
        now: NOW,
        until: after(30_000),
        held: Vec::new(),
        wanted: Wanted::Due { suspects: limit },
        turns: None,
    }
}

/// A claimed run that nothing is wrong with.
pub fn readable(claimed: Claimed) -> ClaimedRun {
    match claimed {
        Claimed::Run(run) => *run,
        Claimed::Damaged { reason, .. } => panic!("damaged: {reason}"),
    }
}

pub fn ended(state: RunState) -> Next {
    Next::End { state, output: None, error: None }
}

/// A step that gave its name.
pub fn done(node: &str) -> StepRow {
    StepRow {
        state: StepState::Succeeded,
        attempt: 1,
        spent: 1,
        input: Some(Json::from_value(json!({ "of": node }))),
        output: Some(Json::from_value(json!(node))),
        started_at: Some(NOW),
        ended_at: Some(after(5)),
        ..StepRow::pending(node, 0)
    }
}
