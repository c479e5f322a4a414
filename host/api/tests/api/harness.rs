//! One API on a fresh database, and short ways to call it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tombolo_api::{
    AccessSettings, ApiState, Gate, GatePorts, NewToken, Randomness, Settings, issue_token, router,
};
use tombolo_core::clock::{Clock, Timestamp};
use tombolo_core::id::{IdSource, TenantId};
use tombolo_core::ports::documents::Documents;
use tombolo_core::ports::store::{Scope, Store, Tenant};
use tombolo_egress::{DocumentReader, EgressSettings, HttpEgress, SystemResolver};
use tombolo_store::{PostgresSettings, PostgresStore, SqliteSettings, SqliteStore};
use tombolo_test_postgres::Database;
use tombolo_vault::{MasterKey, OsRandomness, SealingVault};
use tower::ServiceExt;
use uuid::Uuid;

use crate::edges::{DescriptorSandbox, ScriptedIntake, StoredAuthoring};
use crate::repairs::{PlainProofs, ScriptedRepairs};

pub const START: Timestamp = Timestamp(1_790_000_000_000);

pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// UUIDs that count up, so that later ones sort later.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl IdSource for Counter {
    fn next(&self) -> Uuid {
        let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000 + u128::from(count))
    }
}

/// Different bytes at every call.
#[derive(Default)]
pub struct CountedBytes(AtomicU8);

impl Randomness for CountedBytes {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::SeqCst) + 1);
    }
}

pub struct Host {
    pub router: Router,
    pub store: Arc<dyn Store>,
    pub vault: Arc<SealingVault>,
    pub intake: Arc<ScriptedIntake>,
    pub repairs: Arc<ScriptedRepairs>,
    pub sandbox: Arc<DescriptorSandbox>,
    pub clock: Arc<ManualClock>,
    pub ids: Arc<Counter>,
    randomness: Arc<CountedBytes>,
    pub gate: Arc<Gate>,
    pub stopping: CancellationToken,
    pub tenant: TenantId,
    /// With every scope.
    pub token: String,
    /// Goes with the host.
    _database: Box<dyn Send>,
}

/// What a host is set up with.
#[derive(Default)]
pub struct Setup {
    pub settings: Settings,
    pub access: AccessSettings,
    /// Where an identity provider listens that may be asked.
    pub issuer: Option<SocketAddr>,
}

/// Documents through the way out as a server has it.
fn documents(clock: &Arc<ManualClock>, issuer: Option<SocketAddr>) -> Arc<dyn Documents> {
    let allow = issuer.iter().map(|place| place.to_string().parse().unwrap()).collect();
    let settings = EgressSettings { allow, ..EgressSettings::default() };
    let vault = SealingVault::new(MasterKey::generate(&OsRandomness), Vec::new()).unwrap();
    let resolver = Arc::new(SystemResolver);
    let egress = HttpEgress::new(settings, Arc::new(vault), clock.clone(), resolver).unwrap();
    Arc::new(DocumentReader::new(Arc::new(egress)))
}

/// SQLite in a folder of its own.
pub async fn sqlite() -> (Arc<SqliteStore>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tombolo.db");
    (Arc::new(SqliteStore::open(&path, SqliteSettings::default()).await.unwrap()), folder)
}

impl Host {
    pub async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> Self {
        Self::set_up(Setup { settings, ..Setup::default() }).await
    }

    pub async fn set_up(setup: Setup) -> Self {
        let (store, folder) = sqlite().await;
        Self::on(store, Box::new(folder), setup).await
    }

    /// On a database of its own.
    pub async fn on_postgres() -> Self {
        let database = Database::fresh().await.unwrap();
        let settings = PostgresSettings::new(database.url());
        let store = Arc::new(PostgresStore::open(settings).await.unwrap());
        Self::on(store, Box::new(database), Setup::default()).await
    }

    /// On a store of the caller's, empty; `database` goes with the host.
    pub async fn on(store: Arc<dyn Store>, database: Box<dyn Send>, setup: Setup) -> Self {
        let Setup { settings, access, issuer } = setup;
        let vault = SealingVault::new(MasterKey::generate(&OsRandomness), Vec::new()).unwrap();
        let clock = Arc::new(ManualClock(AtomicI64::new(START.0)));
        let ids = Arc::new(Counter::default());
        let authoring = Arc::new(StoredAuthoring::new(store.clone(), clock.clone(), ids.clone()));
        let intake = Arc::new(ScriptedIntake::new(store.clone(), clock.clone(), ids.clone()));
        let repairs = Arc::new(ScriptedRepairs::new(store.clone(), clock.clone(), ids.clone()));
        let ports = GatePorts {
            store: store.clone(),
            documents: documents(&clock, issuer),
            clock: clock.clone(),
            allowances: Arc::default(),
        };
        let gate = Arc::new(Gate::new(ports, access));
        let mut host = Self {
            router: Router::new(),
            store,
            gate,
            vault: Arc::new(vault),
            intake,
            repairs,
            sandbox: Arc::new(DescriptorSandbox::default()),
            clock,
            ids,
            randomness: Arc::new(CountedBytes::default()),
            stopping: CancellationToken::new(),
            tenant: TenantId(Uuid::nil()),
            token: String::new(),
            _database: database,
        };
        host.tenant = host.tenant_named("default").await;
        host.token = host.issue(host.tenant, &Scope::ALL, None).await;
        let state = ApiState {
            store: host.store.clone(),
            sandbox: host.sandbox.clone(),
            vault: host.vault.clone(),
            intake: host.intake.clone(),
            repairs: host.repairs.clone(),
            callbacks: Arc::new(PlainProofs),
            subscriptions: authoring.clone(),
            authoring,
            clock: host.clock.clone(),
            ids: host.ids.clone(),
            gate: host.gate.clone(),
            randomness: host.randomness.clone(),
            stopping: host.stopping.clone(),
            settings,
        };
        host.router = router(state, others());
        host
    }

    pub async fn tenant_named(&self, name: &str) -> TenantId {
        let tenant = Tenant { id: TenantId::new(&*self.ids), name: name.to_owned() };
        self.store.ensure_tenant(tenant, self.clock.now()).await.unwrap().id
    }

    pub async fn issue(&self, tenant: TenantId, scopes: &[Scope], days: Option<u32>) -> String {
        let new = NewToken {
            tenant,
            name: "test".to_owned(),
            scopes: scopes.to_vec(),
            expires_in_days: days,
            by: None,
        };
        let issued = issue_token(&*self.store, &*self.clock, &*self.ids, &*self.randomness, new)
            .await
            .unwrap();
        issued.token.to_string()
    }

    /// With the token of every scope.
    pub async fn call(&self, request: Call) -> Reply {
        self.send(request.token(&self.token)).await
    }

    /// As it is.
    pub async fn send(&self, request: Call) -> Reply {
        send(self.router.clone(), request).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call(Call::new("GET", path)).await
    }
}

/// Sends a request as it is.
pub async fn send(router: Router, request: Call) -> Reply {
    let response = router.oneshot(request.0).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Reply { status: parts.status, headers: parts.headers, text, json }
}

/// Routes as another crate brings them.
fn others() -> Router {
    let refuse = |headers: HeaderMap| async move {
        let id = headers["x-correlation-id"].to_str().unwrap().to_owned();
        let kind = [("content-type", "application/problem+json")];
        let body = json!({"type": "/problems/signature-wrong", "saw": id}).to_string();
        (StatusCode::UNAUTHORIZED, kind, body)
    };
    Router::new().route("/others/refuse", post(refuse)).route("/others/panic", post(panics))
}

async fn panics() -> StatusCode {
    panic!("on purpose")
}

/// A request in the making.
pub struct Call(Request<Body>);

impl Call {
    pub fn new(method: &str, path: &str) -> Self {
        Self(Request::builder().method(method).uri(path).body(Body::empty()).unwrap())
    }

    pub fn post(path: &str, body: impl Into<Body>) -> Self {
        Self::new("POST", path).body(body)
    }

    pub fn put(path: &str, body: &Value) -> Self {
        Self::new("PUT", path).json(body)
    }

    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.0.body_mut() = body.into();
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string()).header("content-type", "application/json")
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().append(name, value.parse().unwrap());
        self
    }

    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    /// Null if it is no JSON.
    pub json: Value,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A problem with everything that every problem has.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> &Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.json["type"], format!("/problems/{code}"), "{}", self.text);
        assert_eq!(self.json["status"], status);
        assert!(self.json["title"].is_string() && self.json["detail"].is_string());
        assert!(self.json["instance"].is_string());
        assert_eq!(self.json["correlation_id"].as_str(), self.header("x-correlation-id"));
        &self.json
    }

    #[track_caller]
    pub fn ok(&self, status: u16) -> &Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        &self.json
    }
}
