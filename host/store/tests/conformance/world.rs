//! What every case starts from: a store with a tenant and a workflow, and ids that count up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, IdSource, RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Accept, Accepted, Applied, Claim, Claimed, ClaimedRun, Lease, NewEvent, NewRun, NewVersion,
    Next, Open, Opened, RunView, Settle, Signal, StepKey, StepRow, Store, StoreError, Tenant,
    Wanted, WorkerId,
};
use tombolo_core::run::{RunState, StepState};
use tombolo_store::Bounds;
use uuid::Uuid;

/// A database under test.
#[async_trait]
pub trait Database: Send + Sync {
    /// The store on it.
    fn store(&self) -> Arc<dyn Store>;

    /// Closes the store, which finishes its writes.
    async fn close(&self);

    /// Holds all writes up until what it returns is dropped.
    async fn hold_writes(&self) -> Box<dyn Send>;

    /// Another database of the same kind, empty.
    async fn fresh(&self) -> Box<dyn Database>;

    /// Opens the same database again, with other bounds.
    async fn reopen(&mut self, bounds: Bounds);

    /// What it takes on disk.
    async fn on_disk(&self) -> OnDisk;
}

/// Bytes that a database takes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisk {
    /// It gives free room back when it is asked to.
    Shrinks(u64),
    /// It writes to free room again, and keeps it.
    Reuses(u64),
}

pub const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub const LATER: Timestamp = Timestamp(1_700_000_030_000);

/// This many milliseconds after [`NOW`].
pub fn after(ms: i64) -> Timestamp {
    Timestamp(NOW.0 + ms)
}

pub struct World {
    pub database: Box<dyn Database>,
    pub store: Arc<dyn Store>,
    pub tenant: TenantId,
    pub workflow: WorkflowId,
    pub ids: Ids,
}

/// Ids that count up.
#[derive(Default)]
pub struct Ids(AtomicU64);

impl IdSource for Ids {
    fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}

impl World {
    pub async fn new(database: Box<dyn Database>) -> Self {
        let ids = Ids::default();
        let store = database.store();
        let tenant = tenant(&*store, &ids, "acme").await;
        let workflow = workflow(&*store, &ids, tenant, "deals").await;
        Self { database, store, tenant, workflow, ids }
    }

    /// Opens the database again.
    pub async fn reopen(&mut self, bounds: Bounds) {
        self.database.reopen(bounds).await;
        self.store = self.database.store();
    }

    /// Another tenant with a workflow.
    pub async fn other(&self, name: &str) -> (TenantId, WorkflowId) {
        let tenant = tenant(&*self.store, &self.ids, name).await;
        let workflow = workflow(&*self.store, &self.ids, tenant, "deals").await;
        (tenant, workflow)
    }

    /// An event with one run that is queued.
    pub fn event(&self, key: &str) -> Accept {
        Accept {
            event: NewEvent {
                id: EventId::new(&self.ids),
                tenant: self.tenant,
                source: "hook:deals".to_owned(),
                dedupe_key: key.to_owned(),
                fingerprint: None,
                payload: Json::from_value(json!({ "event": { "key": key } })),
                correlation_id: format!("correlation-{key}"),
                received_at: NOW,
            },
            runs: vec![self.run()],
            audit: None,
        }
    }

    /// A run that is queued.
    pub fn run(&self) -> NewRun {
        NewRun {
            id: RunId::new(&self.ids),
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
        }
    }

    /// The same event, with a run that its acceptor runs itself.
    pub fn leased(&self, key: &str, owner: &str, until: Timestamp) -> Accept {
        let mut accept = self.event(key);
        accept.runs[0].lease = Some((worker(owner), until));
        accept
    }

    pub async fn accept(&self, accept: Accept) -> RunId {
        let run = accept.runs[0].id;
        let accepted = self.store.accept(vec![accept]).await.unwrap();
        assert!(matches!(&accepted[..], [Accepted::New { .. }]), "{accepted:?}");
        run
    }

    /// Accepts an event whose run is leased to `owner` until [`LATER`].
    pub async fn hold(&self, key: &str, owner: &str) -> Lease {
        let run = self.accept(self.leased(key, owner, LATER)).await;
        Lease { run, owner: worker(owner), epoch: 1 }
    }

    pub async fn claim(&self, owner: &str, limit: usize, now: Timestamp) -> Vec<ClaimedRun> {
        self.claim_but(owner, limit, now, Vec::new()).await
    }

    /// The same by a process that works on some runs already.
    pub async fn claim_but(
        &self,
        owner: &str,
        limit: usize,
        now: Timestamp,
        held: Vec<RunId>,
    ) -> Vec<ClaimedRun> {
        let until = Timestamp(now.0 + 30_000);
        let wanted = Wanted::Due { suspects: limit };
        let claim = Claim { worker: worker(owner), limit, now, until, held, wanted, turns: None };
        let claimed = self.store.claim(claim).await.unwrap();
        claimed.into_iter().map(readable).collect()
    }

    /// The runs that a claim of ten brings.
    pub async fn claim_wanted(&self, wanted: Wanted, now: Timestamp) -> Vec<RunId> {
        let (until, held) = (Timestamp(now.0 + 30_000), Vec::new());
        let claim = Claim { worker: worker("w"), limit: 10, now, until, held, wanted, turns: None };
        let claimed = self.store.claim(claim).await.unwrap();
        claimed.iter().map(Claimed::run).collect()
    }

    /// Results of a run: nothing yet.
    pub fn results(&self, lease: &Lease, next: Next) -> Settle {
        Settle::new(self.tenant, lease.clone(), next, after(100))
    }

    /// What comes for a step from outside.
    pub fn signal(&self, run: RunId, node: &str, body: Value) -> Signal {
        let (tenant, body, at) = (self.tenant, Json::from_value(body), after(200));
        Signal { tenant, run, step: key(node), body, at }
    }

    /// What is there for the steps of a run.
    pub async fn signals(&self, run: RunId) -> Vec<Signal> {
        self.store.signals(self.tenant, run).await.unwrap()
    }

    pub async fn open(&self, run: RunId, owner: &str, now: Timestamp) -> Opened {
        let until = Timestamp(now.0 + 30_000);
        let open = Open { tenant: self.tenant, run, worker: worker(owner), now, until };
        self.store.open(open).await.unwrap()
    }

    /// The same for one that nobody holds.
    pub async fn opened(&self, run: RunId, owner: &str, now: Timestamp) -> ClaimedRun {
        match self.open(run, owner, now).await {
            Opened::Run { run, .. } => *run,
            other => panic!("{other:?}"),
        }
    }

    pub async fn settle(&self, lease: &Lease, next: Next) -> Result<(), StoreError> {
        self.store.settle(self.results(lease, next)).await
    }

    pub async fn view(&self, run: RunId) -> RunView {
        self.store.run(self.tenant, run).await.unwrap().unwrap()
    }

    pub async fn state(&self, run: RunId) -> RunState {
        self.view(run).await.run.state
    }

    pub async fn steps(&self, run: RunId) -> Vec<StepRow> {
        let mut steps = self.view(run).await.steps;
        steps.sort_by(|a, b| (&a.node, a.item).cmp(&(&b.node, b.item)));
        steps
    }
}

pub fn worker(name: &str) -> WorkerId {
    WorkerId(name.to_owned())
}

/// The step of that name.
pub fn key(node: &str) -> StepKey {
    StepKey { node: node.to_owned(), item: 0 }
}

pub fn succeeded() -> Next {
    ended(RunState::Succeeded)
}

pub fn ended(state: RunState) -> Next {
    Next::End { state, output: None, error: None }
}

pub fn parked(at: Timestamp) -> Next {
    waiting(Some(at))
}

/// Given back, to be gone on with from then on.
pub fn queued(at: Timestamp) -> Next {
    let connections = BTreeSet::new();
    Next::Park { state: RunState::Queued, available_at: Some(at), connections }
}

/// Parked until then, or until something comes from outside.
pub fn waiting(available_at: Option<Timestamp>) -> Next {
    Next::Park { state: RunState::Waiting, available_at, connections: BTreeSet::new() }
}

/// A step that has just been made.
pub fn step(node: &str) -> StepRow {
    StepRow::pending(node, 0)
}

/// A step that waits for something from outside.
pub fn waits(node: &str) -> StepRow {
    StepRow { state: StepState::Waiting, attempt: 1, spent: 1, ..step(node) }
}

/// A step that gave `output`.
pub fn done(node: &str, output: Value) -> StepRow {
    StepRow {
        state: StepState::Succeeded,
        attempt: 1,
        spent: 1,
        input: Some(Json::from_value(json!({ "of": node }))),
        output: Some(Json::from_value(output)),
        started_at: Some(NOW),
        ended_at: Some(after(5)),
        ..step(node)
    }
}

async fn tenant(store: &dyn Store, ids: &Ids, name: &str) -> TenantId {
    let tenant = Tenant { id: TenantId::new(ids), name: name.to_owned() };
    store.ensure_tenant(tenant, NOW).await.unwrap().id
}

pub async fn workflow(store: &dyn Store, ids: &Ids, tenant: TenantId, name: &str) -> WorkflowId {
    let version = NewVersion {
        tenant,
        id: WorkflowId::new(ids),
        name: name.to_owned(),
        definition: Json::from_value(json!({ "name": name })),
        pins: BTreeMap::new(),
        now: NOW,
        audit: None,
    };
    match store.apply_workflow(version).await.unwrap() {
        Applied::Created { id, version: 1 } => id,
        other => panic!("a new workflow, and {other:?}"),
    }
}

/// A claimed run that nothing is wrong with.
pub fn readable(claimed: Claimed) -> ClaimedRun {
    match claimed {
        Claimed::Run(run) => *run,
        Claimed::Damaged { reason, .. } => panic!("damaged: {reason}"),
    }
}
