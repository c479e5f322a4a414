//! Small stand-ins for what needs WebAssembly or a running engine. They write to the real store.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tombolo_core::clock::Clock;
use tombolo_core::descriptor::Descriptor;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::{ContentHash, EventId, RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::authoring::{Authoring, AuthoringError};
use tombolo_core::ports::intake::{
    Answer, Arrival, Follow, Hook, Intake, Progress, Subscriber, Subscriptions,
};
use tombolo_core::ports::repair::By;
use tombolo_core::ports::sandbox::{
    Evaluation, ExpressionError, InstallError, Installed, Invocation, Invoked, Sandbox,
};
use tombolo_core::ports::store::{
    Accept, Accepted, Applied, CancelRequest, NewEvent, NewRun, NewVersion, RunLimits, Store,
    StoreError,
};
use tombolo_core::workflow::{Issue, schema_issues};

use crate::harness::{Counter, ManualClock};

/// Takes a descriptor's JSON for a component.
#[derive(Default)]
pub struct DescriptorSandbox {
    pub broken: Mutex<bool>,
}

/// The upload that makes the sandbox panic.
pub const PANIC: &[u8] = b"panic";

#[async_trait]
impl Sandbox for DescriptorSandbox {
    async fn install(&self, bytes: Bytes) -> Result<Installed, InstallError> {
        assert!(bytes != PANIC, "a bug in the sandbox");
        if bytes.starts_with(b"\0asm\x01\0\0\0") {
            return Err(InstallError::CoreModule);
        }
        let descriptor: Descriptor = serde_json::from_slice(&bytes)
            .map_err(|error| InstallError::Malformed { reason: error.to_string() })?;
        Ok(Installed {
            hash: ContentHash::of(&bytes),
            descriptor,
            imports: vec!["tombolo:node/log@1.0.0".to_owned()],
        })
    }

    async fn invoke(&self, _: Invocation) -> Invoked {
        unreachable!("the API never runs an operation")
    }

    async fn evaluate(&self, _: Evaluation) -> Result<Vec<Json>, ExpressionError> {
        unreachable!("the API never evaluates an expression")
    }

    async fn check(&self, _: Vec<String>) -> Result<Vec<ExpressionError>, StepError> {
        if *self.broken.lock().unwrap() {
            return Err(StepError::new(ErrorClass::Transient, "evaluator-lost", "gone"));
        }
        Ok(Vec::new())
    }
}

/// Checks files against the schema only, and keeps the live versions.
pub struct StoredAuthoring {
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    ids: Arc<Counter>,
    live: Mutex<HashMap<(TenantId, String), Subscriber>>,
}

impl StoredAuthoring {
    pub fn new(store: Arc<dyn Store>, clock: Arc<ManualClock>, ids: Arc<Counter>) -> Self {
        Self { store, clock, ids, live: Mutex::default() }
    }
}

#[async_trait]
impl Authoring for StoredAuthoring {
    async fn validate(&self, _: TenantId, file: &Json) -> Result<Vec<Issue>, AuthoringError> {
        Ok(schema_issues(file.value()))
    }

    async fn apply(&self, tenant: TenantId, file: Json, by: By) -> Result<Applied, AuthoringError> {
        let issues = schema_issues(file.value());
        if !issues.is_empty() {
            return Err(AuthoringError::Invalid(issues));
        }
        let name = file.value()["name"].as_str().unwrap_or_default().to_owned();
        let applied = self
            .store
            .apply_workflow(NewVersion {
                tenant,
                id: WorkflowId::new(&*self.ids),
                name: name.clone(),
                definition: file,
                pins: BTreeMap::new(),
                now: self.clock.now(),
                audit: Some(by.entry(
                    self.clock.now(),
                    "workflow-applied",
                    format!("workflows/{name}"),
                    Value::Null,
                )),
            })
            .await?;
        let (Applied::Created { id, version } | Applied::Unchanged { id, version }) = applied;
        let subscriber = Subscriber {
            workflow: id,
            version,
            trigger: "api".to_owned(),
            timeout: None,
            limits: None,
        };
        self.live.lock().unwrap().insert((tenant, name), subscriber);
        Ok(applied)
    }
}

impl Subscriptions for StoredAuthoring {
    fn hook(&self, _: TenantId, _: &str) -> Option<Arc<Hook>> {
        None
    }

    fn workflow(&self, tenant: TenantId, name: &str) -> Option<Subscriber> {
        self.live.lock().unwrap().get(&(tenant, name.to_owned())).cloned()
    }

    fn event(&self, _: TenantId, _: &str) -> Vec<Subscriber> {
        Vec::new()
    }

    fn failure(&self, _: TenantId, _: &str) -> Vec<Subscriber> {
        Vec::new()
    }
}

/// What a follower will be told: a change, or None for "you missed some".
type Script = mpsc::Receiver<Option<Progress>>;

/// Accepts into the store; answers and changes are what the test says.
pub struct ScriptedIntake {
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    ids: Arc<Counter>,
    pub answers: Mutex<VecDeque<Answer>>,
    pub patience: Mutex<Vec<Duration>>,
    pub follows: Mutex<VecDeque<Script>>,
}

impl ScriptedIntake {
    pub fn new(store: Arc<dyn Store>, clock: Arc<ManualClock>, ids: Arc<Counter>) -> Self {
        Self {
            store,
            clock,
            ids,
            answers: Mutex::default(),
            patience: Mutex::default(),
            follows: Mutex::default(),
        }
    }

    fn answer(&self, patience: Duration) -> Answer {
        self.patience.lock().unwrap().push(patience);
        self.answers.lock().unwrap().pop_front().unwrap_or(Answer::NotYet)
    }

    fn prepare(&self, arrival: Arrival) -> Accept {
        let id = EventId::new(&*self.ids);
        let mut event = arrival.event;
        event.insert("id".to_owned(), id.to_string().into());
        let run = |subscriber: Subscriber| NewRun {
            id: RunId::new(&*self.ids),
            workflow: subscriber.workflow,
            version: subscriber.version,
            trigger: subscriber.trigger,
            deadline: None,
            lease: None,
            parent: None,
            depth: 0,
            replay_of: None,
            steps: Vec::new(),
            ended: None,
            flow: RunLimits::default(),
        };
        Accept {
            event: NewEvent {
                id,
                tenant: arrival.tenant,
                source: arrival.source,
                dedupe_key: arrival.dedupe_key,
                fingerprint: arrival.fingerprint,
                payload: json!({"trigger": arrival.trigger, "event": event}).into(),
                correlation_id: arrival.correlation_id,
                received_at: self.clock.now(),
            },
            runs: arrival.subscribers.into_iter().map(run).collect(),
            audit: arrival
                .by
                .map(|by| by.entry(self.clock.now(), "run-started", id.to_string(), Value::Null)),
        }
    }
}

#[async_trait]
impl Intake for ScriptedIntake {
    async fn accept(&self, arrivals: Vec<Arrival>) -> Result<Vec<Accepted>, StoreError> {
        let batch = arrivals.into_iter().map(|arrival| self.prepare(arrival)).collect();
        self.store.accept(batch).await
    }

    async fn accept_and_wait(
        &self,
        arrival: Arrival,
        patience: Duration,
    ) -> Result<(Accepted, Answer), StoreError> {
        let accepted = self.accept(vec![arrival]).await?.remove(0);
        Ok((accepted, self.answer(patience)))
    }

    async fn wait(&self, _: TenantId, _: RunId, patience: Duration) -> Result<Answer, StoreError> {
        Ok(self.answer(patience))
    }

    async fn cancel(
        &self,
        tenant: TenantId,
        run: RunId,
        by: By,
    ) -> Result<CancelRequest, StoreError> {
        let entry = by.entry(self.clock.now(), "cancel-requested", run.to_string(), Value::Null);
        self.store.request_cancel(tenant, run, Some(entry)).await
    }

    fn follow(&self, _: TenantId, _: RunId) -> Box<dyn Follow> {
        let script = self.follows.lock().unwrap().pop_front();
        Box::new(Scripted(script.unwrap_or_else(|| mpsc::channel(1).1)))
    }
}

struct Scripted(Script);

#[async_trait]
impl Follow for Scripted {
    async fn next(&mut self) -> Option<Progress> {
        self.0.recv().await.flatten()
    }
}
