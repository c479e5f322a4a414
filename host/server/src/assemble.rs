//! Puts the parts together: the only place that knows which crate is behind which port.

use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tombolo_api::{ApiState, Gate, GatePorts};
use tombolo_core::clock::Clock;
use tombolo_core::id::ContentHash;
use tombolo_core::ports::alert::{Alerts, NoAlerts};
use tombolo_core::ports::sandbox::ComponentSource;
use tombolo_core::ports::store::{Catalog, Store};
use tombolo_core::quota::Allowances;
use tombolo_egress::{AlertWebhook, DocumentReader, HttpEgress, SystemResolver};
use tombolo_engine::{Engine, EngineSettings, Ports, Registry};
use tombolo_ingress::{IngressSettings, IngressState, Rules};
use tombolo_sandbox::{Compiler, WasmSandbox};
use tombolo_vault::SealingVault;

use crate::callbacks::Addresses;
use crate::config::Config;
use crate::database::Database;
use crate::keys::{self, IfMissing};
use crate::notary::notary;
use crate::roles::Roles;
use crate::system::{Ids, System};

/// The first argument that makes this program compile one component and end.
pub const COMPILE_WORKER: &str = "compile-component";

/// The component of plugin `jq`, which evaluates every expression.
const EVALUATOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/evaluator.wasm"));

/// A host, assembled and not started.
pub struct Host {
    pub database: Database,
    pub store: Arc<dyn Store>,
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
    clock: Arc<dyn Clock>,
    roles: Roles,
}

/// Opens the store and everything around it.
///
/// # Errors
/// If the database, the key or the sandbox cannot be opened; the text says which and why.
pub async fn host(config: &Config, roles: Roles) -> Result<Host> {
    let database = Database::open(config).await?;
    let (store, clock) = (database.store(), database.clock().await?);
    let ids = Arc::new(Ids(clock.clone()));
    let if_missing = if database.is_shared() { IfMissing::Refuse } else { IfMissing::Make };
    let vault = Arc::new(keys::vault(config, &*store, if_missing).await?);
    let components = Arc::new(StoredComponents(store.clone()));
    let sandbox = Arc::new(sandbox(config, components, vault.clone())?);
    let registry = Arc::new(Registry::new(
        store.clone(),
        sandbox.clone(),
        Arc::new(Rules),
        clock.clone(),
        ids.clone(),
    ));
    let callbacks = Arc::new(Addresses::new(config.server.public_url(), &vault));
    let ports = Ports {
        store: store.clone(),
        sandbox: sandbox.clone(),
        registry: registry.clone(),
        clock: clock.clone(),
        ids,
        random: Arc::new(System),
        alerts: alerts(config, vault.clone())?,
        callbacks: callbacks.clone(),
        notary: Some(notary(config, || egress(config, vault.clone()))?),
    };
    let settings = EngineSettings {
        works: roles.worker,
        keeps_house: roles.scheduler,
        shared: database.is_shared(),
        ..engine_settings(config)
    };
    let engine = Engine::new(ports, settings);
    let allowances = Arc::<Allowances>::default();
    let gate_ports = GatePorts {
        store: store.clone(),
        documents: Arc::new(DocumentReader::new(Arc::new(egress(config, vault.clone())?))),
        clock: clock.clone(),
        allowances: allowances.clone(),
    };
    let gate = Arc::new(Gate::new(gate_ports, config.access.with(&config.oidc)));
    Ok(Host {
        database,
        store,
        sandbox,
        registry,
        engine,
        gate,
        allowances,
        stopping: CancellationToken::new(),
        vault,
        callbacks,
        clock,
        roles,
    })
}

impl Host {
    /// Everything that is served over HTTP.
    pub fn router(&self, config: &Config) -> axum::Router {
        let (clock, ids) = (self.clock.clone(), Arc::new(Ids(self.clock.clone())));
        let api = ApiState {
            store: self.store.clone(),
            sandbox: self.sandbox.clone(),
            vault: self.vault.clone(),
            intake: Arc::new(self.engine.clone()),
            repairs: Arc::new(self.engine.clone()),
            callbacks: self.callbacks.clone(),
            subscriptions: self.registry.clone(),
            authoring: self.registry.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            gate: self.gate.clone(),
            randomness: Arc::new(System),
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
            clock,
            ids,
            settings: IngressSettings {
                public_url: config.server.public_url(),
                body_limit: config.server.body_limit_bytes,
            },
        };
        let hooks =
            if self.roles.ingress { tombolo_ingress::router(hooks) } else { axum::Router::new() };
        if self.roles.api {
            tombolo_api::router(api, hooks)
        } else {
            tombolo_api::health_router(api, hooks)
        }
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
        checkpoint_entries: config.audit.checkpoint_entries,
        checkpoint_ms: config.audit.checkpoint_seconds.saturating_mul(1_000),
        drain_ms: config.server.drain_timeout_ms,
        ..EngineSettings::default()
    }
}

/// The store as the place where components come from.
struct StoredComponents(Arc<dyn Store>);

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
