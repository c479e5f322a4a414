//! A real store, a clock that is set by hand, and a sandbox whose operations are scripted: what the
//! engine does with their answers is what is tested.

mod look;
pub mod mortal;
mod orders;
pub mod scripted;
mod told;
mod wait;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mortal::{Mortal, Trouble};
use serde_json::{Value, json};
use told::Told;
use tombolo_core::clock::{Clock, Timestamp};
use tombolo_core::descriptor::{Descriptor, Operation};
use tombolo_core::effect::{Effect, World};
use tombolo_core::id::{ConnectionId, ContentHash, IdSource, RunId, TenantId};
use tombolo_core::ports::authoring::{Authoring, WebhookRules};
use tombolo_core::ports::callback::CallbackAddresses;
use tombolo_core::ports::egress::{Auth, CallLimits, Connection};
use tombolo_core::ports::intake::{Answer, Arrival, Intake, Subscriptions};
use tombolo_core::ports::store::{
    Access, Catalog, NewPlugin, Reading, RunView, StoreError, Tenant,
};
use tombolo_core::random::Random;
use tombolo_core::run::RunState;
use tombolo_core::workflow::VerifyScheme;
use tombolo_engine::{Engine, EngineSettings, Notary, Ports, Registry};
use tombolo_store::{SqliteSettings, SqliteStore};
use uuid::Uuid;

pub use orders::{by, replay_of};
pub use scripted::{Script, Scripted};
pub use wait::{HOUR, PATIENCE, eventually, soon};

/// A clock that stands until it is moved.
pub struct HandClock(AtomicI64);

impl HandClock {
    pub fn forward(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }

    pub fn back(&self, by: Duration) {
        self.0.fetch_sub(by.as_millis() as i64, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Ids that count, and jitter that is always the whole wait.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl IdSource for Counter {
    fn next(&self) -> Uuid {
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        uuid::Builder::from_unix_timestamp_millis(
            1_000 + count,
            &count.to_be_bytes().repeat(2)[..10].try_into().unwrap(),
        )
        .into_uuid()
    }
}

impl Random for Counter {
    fn unit(&self) -> f64 {
        1.0
    }
}

/// Addresses as they would be, with a proof that anybody can make.
struct Addresses;

impl CallbackAddresses for Addresses {
    fn address(&self, _: TenantId, run: RunId, node: &str) -> String {
        format!("https://tombolo.example/callbacks/{run}/{node}")
    }
    fn proves(&self, _: TenantId, _: RunId, _: &str, _: &str) -> bool {
        true
    }
}

struct NoPresets;

impl WebhookRules for NoPresets {
    fn presets(&self) -> Vec<&'static str> {
        Vec::new()
    }
    fn check_scheme(&self, _: &VerifyScheme) -> Result<(), (String, String)> {
        Ok(())
    }
}

/// A store with one tenant and the plugin `test`, and an engine on it that can be replaced.
pub struct Bench {
    /// Lives as long as the database in it.
    _folder: tempfile::TempDir,
    pub store: Arc<SqliteStore>,
    pub sandbox: Arc<Scripted>,
    pub alerts: Arc<Told>,
    pub clock: Arc<HandClock>,
    pub ids: Arc<Counter>,
    pub tenant: TenantId,
    pub settings: EngineSettings,
    pub notary: Option<Notary>,
}

impl Bench {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("t.db"), SqliteSettings::default())
            .await
            .unwrap();
        let clock = Arc::new(HandClock(AtomicI64::new(1_700_000_000_000)));
        let ids = Arc::new(Counter::default());
        let tenant = TenantId::new(&*ids);
        let named = Tenant { id: tenant, name: "default".into() };
        store.ensure_tenant(named, clock.now()).await.unwrap();
        let operations = [
            ("pure", Effect::Pure),
            ("read", Effect::Read),
            ("keyed", Effect::Keyed),
            ("unsafe", Effect::Unsafe),
        ];
        let descriptor = Descriptor {
            contract: "1.0".into(),
            name: "test".into(),
            version: "0.1.0".into(),
            summary: String::new(),
            world: World::Connector,
            reuse: false,
            hosts: Vec::new(),
            connections: Vec::new(),
            operations: operations.map(|(name, effect)| operation(name, effect)).into(),
        };
        let component = Bytes::from_static(b"a component");
        let plugin = NewPlugin {
            tenant,
            hash: ContentHash::of(&component),
            component,
            descriptor,
            now: clock.now(),
            audit: None,
        };
        store.add_plugin(plugin).await.unwrap();
        let settings = EngineSettings { poll_ms: 5, drain_ms: 0, ..EngineSettings::default() };
        Self {
            _folder: folder,
            store: Arc::new(store),
            sandbox: Arc::default(),
            alerts: Arc::default(),
            clock,
            ids,
            tenant,
            settings,
            notary: None,
        }
    }

    /// An engine as a process has it after its start.
    pub async fn start(&self) -> Running {
        let store = Arc::new(Mortal::new(self.store.clone()));
        self.start_on(store).await
    }

    /// A process that dies while it starts, at so many calls of the store.
    pub async fn start_and_die(&self, after: usize, trouble: Trouble) {
        let store = Arc::new(Mortal::new(self.store.clone()));
        store.plan(after, trouble);
        let dead = store.clone();
        tokio::select! {
            _ = self.start_on(store) => panic!("it has started"),
            () = dead.dies() => {}
        }
    }

    async fn start_on(&self, store: Arc<Mortal>) -> Running {
        let registry = Arc::new(Registry::new(
            mortal::port(&store),
            self.sandbox.clone(),
            Arc::new(NoPresets),
            self.clock.clone(),
            self.ids.clone(),
        ));
        registry.reload().await.unwrap();
        let ports = Ports {
            store: mortal::port(&store),
            sandbox: self.sandbox.clone(),
            registry: registry.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            random: self.ids.clone(),
            callbacks: Arc::new(Addresses),
            alerts: self.alerts.clone(),
            notary: self.notary.clone(),
        };
        let engine = Engine::new(ports, self.settings.clone());
        engine.start().await.unwrap();
        Running { engine, registry, store, tenant: self.tenant }
    }

    /// Sets a connection without credentials.
    pub async fn connect(&self, name: &str) {
        let connection = Connection {
            id: ConnectionId::new(&*self.ids),
            tenant: self.tenant,
            name: name.into(),
            base_url: None,
            auth: Auth::None,
            signing: None,
            allowed_hosts: Vec::new(),
            limits: CallLimits::default(),
            updated_at: self.clock.now(),
            paused: None,
        };
        self.store.put_connection(connection, None).await.unwrap();
    }

    /// Another tenant, without plugins.
    pub async fn other_tenant(&self, name: &str) -> TenantId {
        let tenant = Tenant { id: TenantId::new(&*self.ids), name: name.into() };
        self.store.ensure_tenant(tenant, self.clock.now()).await.unwrap().id
    }

    pub fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The run as stored, once `wanted` holds.
    pub async fn until(&self, run: RunId, wanted: impl Fn(&RunView) -> bool) -> RunView {
        let look = async {
            loop {
                let view =
                    self.store.run(self.tenant, run).await.unwrap().expect("the run is stored");
                if wanted(&view) {
                    return view;
                }
                tokio::task::yield_now().await;
            }
        };
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(view) => view,
            Err(_) => {
                panic!("not within {PATIENCE:?}: {:#?}", self.store.run(self.tenant, run).await)
            }
        }
    }

    pub async fn ended(&self, run: RunId) -> RunView {
        self.until(run, |view| view.run.state.ended()).await
    }
}

fn operation(name: &str, effect: Effect) -> Operation {
    Operation {
        name: name.into(),
        summary: String::new(),
        effect,
        params: json!({"type": "object"}),
        output: json!({}),
        ports: Vec::new(),
        dynamic_ports: Vec::new(),
        connection: false,
        errors: Vec::new(),
    }
}

/// An engine that runs.
pub struct Running {
    pub engine: Engine,
    pub registry: Arc<Registry>,
    pub store: Arc<Mortal>,
    tenant: TenantId,
}

impl Running {
    /// The same engine, asked by another tenant.
    pub fn asked_by(&self, tenant: TenantId) -> Self {
        let (engine, registry, store) =
            (self.engine.clone(), self.registry.clone(), self.store.clone());
        Self { engine, registry, store, tenant }
    }

    /// Applies a workflow `w` of these nodes, with further fields.
    pub async fn apply(&self, nodes: Value, more: Value) {
        self.apply_as("w", nodes, more).await;
    }

    /// The same for a workflow of another name.
    pub async fn apply_as(&self, name: &str, nodes: Value, more: Value) {
        let mut file = json!({"name": name, "nodes": nodes});
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.registry.apply(self.tenant, file.into(), by()).await.unwrap();
    }

    pub fn arrival(&self, key: &str) -> Arrival {
        self.arrival_for("w", key)
    }

    pub fn arrival_for(&self, workflow: &str, key: &str) -> Arrival {
        Arrival {
            tenant: self.tenant,
            source: format!("api:{workflow}"),
            dedupe_key: key.into(),
            fingerprint: None,
            trigger: json!({"id": key}),
            event: serde_json::Map::new(),
            correlation_id: "c".into(),
            subscribers: vec![self.registry.workflow(self.tenant, workflow).expect("applied")],
            by: None,
        }
    }

    /// Starts a run with this as `.trigger`.
    pub async fn run_with(&self, key: &str, trigger: Value) -> RunId {
        let arrival = Arrival { trigger, ..self.arrival(key) };
        self.engine.accept(vec![arrival]).await.unwrap()[0].runs()[0]
    }

    pub async fn run(&self, key: &str) -> RunId {
        self.try_run(key).await.unwrap()
    }

    /// Starts a run of another workflow.
    pub async fn run_of(&self, workflow: &str, key: &str) -> RunId {
        let arrival = self.arrival_for(workflow, key);
        self.engine.accept(vec![arrival]).await.unwrap()[0].runs()[0]
    }

    pub async fn try_run(&self, key: &str) -> Result<RunId, StoreError> {
        Ok(self.engine.accept(vec![self.arrival(key)]).await?[0].runs()[0])
    }

    pub async fn run_and_wait(&self, key: &str) -> Answer {
        self.engine.accept_and_wait(self.arrival(key), PATIENCE).await.unwrap().1
    }

    /// Ends as a process that is killed: whatever it still does reaches nobody.
    pub fn kill(self) {
        self.store.die();
    }

    /// Ends as a process that is asked to.
    pub async fn stop(self) {
        self.engine.stop().await;
    }
}

/// State of a node's step in a view; `pending` if it is not stored.
pub fn step(view: &RunView, node: &str) -> String {
    view.steps
        .iter()
        .find(|step| step.node == node)
        .map_or("pending".into(), |step| step.state.name().into())
}

/// The run's state.
pub fn state(view: &RunView) -> RunState {
    view.run.state
}
