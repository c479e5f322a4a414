//! Puts the parts together: the only place that knows which crate is behind which port.

use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tombolo_api::{ApiState, Gate, GatePorts};
use tombolo_core::id::ContentHash;
use tombolo_core::ports::alert::{Alerts, NoAlerts};
use tombolo_core::ports::sandbox::ComponentSource;
use tombolo_core::ports::store::{Catalog, Store};
use tombolo_core::quota::Allowances;
use tombolo_egress::{AlertWebhook, DocumentReader, HttpEgress, SystemResolver};
use tombolo_engine::{Engine, EngineSettings, Ports, Registry};
use tombolo_ingress::{IngressSettings, IngressState, Rules};
use tombolo_sandbox::{Compiler, WasmSandbox};
use tombolo_store::SqliteStore;
use tombolo_vault::SealingVault;

use crate::callbacks::Addresses;
use crate::config::Config;
use crate::keys;
use crate::system::System;

/// The first argument that makes this program compile one component and end.
pub const COMPILE_WORKER: &str = "compile-component";

/// The component of plugin `jq`, which evaluates every expression.
const EVALUATOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/evaluator.wasm"));

/// A host, assembled and not started.
pub struct Host {
    pub store: Arc<SqliteStore>,
    pub sandbox: Arc<WasmSandbox>,
    pub registry: Arc<Registry>,
    pub engine: Engine,
    /// Who may, and how much; the caller lets it run.
    pub gate: Arc<Gate>,
    allowances: Arc<Allowances>,
    /// Cancelled when the process is asked to end.
    pub stopping: CancellationToken,
    vault: Arc<SealingVault>,
    callbacks: Arc<Addresses>,
}

/// Opens the store and everything around it.
///
/// # Errors
/// If the database, the key or the sandbox cannot be opened; the text says which and why.
pub async fn host(config: &Config) -> Result<Host> {
    let system = Arc::new(System);
    let database = config.data.database();
    let store = SqliteStore::open(&database, config.store.sqlite())
        .await
        .with_context(|| format!("the database {} cannot be opened", database.display()))?;
    let store = Arc::new(store);
    let vault = Arc::new(keys::vault(config, &*store).await?);
    let components = Arc::new(StoredComponents(store.clone()));
    let sandbox = Arc::new(sandbox(config, components, vault.clone())?);
    let registry = Arc::new(Registry::new(
        store.clone(),
        sandbox.clone(),
        Arc::new(Rules),
        system.clone(),
        system.clone(),
    ));
    let callbacks = Arc::new(Addresses::new(config.server.public_url(), &vault));
    let ports = Ports {
        store: store.clone(),
        sandbox: sandbox.clone(),
        registry: registry.clone(),
        clock: system.clone(),
        ids: system.clone(),
        random: system,
        alerts: alerts(config, vault.clone())?,
        callbacks: callbacks.clone(),
    };
    let engine = Engine::new(ports, engine_settings(config));
    let allowances = Arc::<Allowances>::default();
    let gate = gate(config, store.clone(), vault.clone(), allowances.clone())?;
    Ok(Host {
        store,
        sandbox,
        registry,
        engine,
        gate,
        allowances,
        stopping: CancellationToken::new(),
        vault,
        callbacks,
    })
}

impl Host {
    /// Everything that is served over HTTP.
    pub fn router(&self, config: &Config) -> axum::Router {
        let system = Arc::new(System);
        let api = ApiState {
            store: self.store.clone(),
            sandbox: self.sandbox.clone(),
            vault: self.vault.clone(),
            intake: Arc::new(self.engine.clone()),
            repairs: Arc::new(self.engine.clone()),
            callbacks: self.callbacks.clone(),
            subscriptions: self.registry.clone(),
            authoring: self.registry.clone(),
            clock: system.clone(),
            ids: system.clone(),
            gate: self.gate.clone(),
            randomness: system.clone(),
            stopping: self.stopping.clone(),
            settings: tombolo_api::Settings {
                max_component_bytes: config.sandbox.max_component_bytes,
                max_callback_bytes: config.server.body_limit_bytes,
                ..tombolo_api::Settings::default()
            },
        };
        let hooks = IngressState {
            store: self.store.clone(),
            vault: self.vault.clone(),
            sandbox: self.sandbox.clone(),
            intake: Arc::new(self.engine.clone()),
            quotas: self.allowances.clone(),
            subscriptions: self.registry.clone(),
            clock: system.clone(),
            ids: system,
            settings: IngressSettings {
                public_url: config.server.public_url(),
                body_limit: config.server.body_limit_bytes,
            },
        };
        tombolo_api::router(api, tombolo_ingress::router(hooks))
    }
}

/// Where people are told.
fn alerts(config: &Config, vault: Arc<SealingVault>) -> Result<Arc<dyn Alerts>> {
    let Some(url) = &config.alerts.url else {
        return Ok(Arc::new(NoAlerts));
    };
    let egress = Arc::new(egress(config, vault)?);
    Ok(Arc::new(AlertWebhook::new(egress, url).context("alerts.url")?))
}

/// Who may, and how much.
fn gate(
    config: &Config,
    store: Arc<dyn Store>,
    vault: Arc<SealingVault>,
    allowances: Arc<Allowances>,
) -> Result<Arc<Gate>> {
    let documents = Arc::new(DocumentReader::new(Arc::new(egress(config, vault)?)));
    let ports = GatePorts { store, documents, clock: Arc::new(System), allowances };
    Ok(Arc::new(Gate::new(ports, config.access.with(&config.oidc))))
}

fn egress(config: &Config, vault: Arc<SealingVault>) -> Result<HttpEgress> {
    let resolver = Arc::new(SystemResolver);
    HttpEgress::new(config.egress.clone(), vault, Arc::new(System), resolver)
        .context("the way out does not start")
}

/// A sandbox that has no store and can open no secret: for looking at a component.
///
/// # Errors
/// If it does not start.
pub fn lone_sandbox(config: &Config) -> Result<WasmSandbox> {
    sandbox(config, Arc::new(NoComponents), Arc::new(keys::throw_away()?))
}

fn sandbox(
    config: &Config,
    source: Arc<dyn ComponentSource>,
    vault: Arc<SealingVault>,
) -> Result<WasmSandbox> {
    let system = Arc::new(System);
    let egress = egress(config, vault)?;
    let sandbox = WasmSandbox::new(
        config.sandbox.clone(),
        &config.data.components(),
        Arc::new(egress),
        source,
        system,
        Bytes::from_static(EVALUATOR),
    )?;
    let program = std::env::current_exe().context("the path of this program is not known")?;
    Ok(sandbox
        .compile_with(Compiler::Process { program, arguments: vec![COMPILE_WORKER.to_owned()] }))
}

fn engine_settings(config: &Config) -> EngineSettings {
    EngineSettings {
        concurrent_runs: config.engine.concurrent_runs,
        lease_ms: config.engine.lease_seconds.saturating_mul(1_000),
        poll_ms: config.engine.poll_ms,
        claim_batch: config.engine.claim_batch,
        max_claims: config.engine.max_claims,
        housekeeping_ms: config.engine.housekeeping_seconds.saturating_mul(1_000),
        alert_repeat_ms: config.alerts.repeat_seconds.saturating_mul(1_000),
        drain_ms: config.server.drain_timeout_ms,
    }
}

/// The store as the place where components come from.
struct StoredComponents(Arc<SqliteStore>);

#[async_trait]
impl ComponentSource for StoredComponents {
    async fn component(&self, hash: ContentHash) -> Result<Option<Bytes>, String> {
        Catalog::component(&*self.0, hash).await.map_err(|error| error.to_string())
    }
}

/// For a sandbox that is only shown one component.
struct NoComponents;

#[async_trait]
impl ComponentSource for NoComponents {
    async fn component(&self, _: ContentHash) -> Result<Option<Bytes>, String> {
        Ok(None)
    }
}
