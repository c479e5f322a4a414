//! What the scenarios share: where components come from, a sandbox, and an outside that answers as
//! it is told.

pub mod outside;
pub mod wat_plugin;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;
use tombolo_core::clock::{Clock, Timestamp};
use tombolo_core::effect::Effect;
use tombolo_core::error::StepError;
use tombolo_core::id::{ContentHash, RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::egress::Caller;
use tombolo_core::ports::journal::JournalEntry;
use tombolo_core::ports::sandbox::{
    ComponentSource, Invocation, Invoked, Sandbox, StateReader, StateUnavailable, Uninterrupted,
};
use tombolo_sandbox::{Compiler, SandboxSettings, WasmSandbox};
use uuid::Uuid;

use outside::Outside;

/// When everything happens: 2023-03-15T13:20:00Z.
pub const NOW: Timestamp = Timestamp(1_678_886_400_000);

/// Longer than any call that is meant to succeed.
pub const LONG: Duration = Duration::from_secs(60);

/// A component that `cargo xtask plugins` builds: `guest_abuse`, `plugin_jq`.
pub fn component(name: &str) -> Bytes {
    let file = Path::new("wasm32-wasip2/plugin").join(format!("{name}.wasm"));
    let candidates = [target_of_this_test(), Some(default_target())];
    for folder in candidates.iter().flatten() {
        if let Ok(bytes) = std::fs::read(folder.join(&file)) {
            return bytes.into();
        }
    }
    panic!("{} is not built; run `cargo xtask plugins`", file.display());
}

/// `<target>/<profile>/deps/<test>`.
fn target_of_this_test() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.ancestors().nth(3)?.to_owned())
}

fn default_target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")
}

/// Compiled code is kept for the other scenarios of the same program.
static CACHE: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// Settings that leave room for several sandboxes at once.
pub fn settings() -> SandboxSettings {
    let mut settings = SandboxSettings { instances: 16, ..SandboxSettings::default() };
    settings.warm.instances = 4;
    settings
}

/// A clock that stands.
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Components by hash, and how often each was asked for.
#[derive(Default)]
pub struct Shelf {
    components: Mutex<HashMap<ContentHash, Bytes>>,
    asked: Mutex<Vec<ContentHash>>,
}

impl Shelf {
    pub fn put(&self, bytes: Bytes) -> ContentHash {
        let hash = ContentHash::of(&bytes);
        self.components.lock().unwrap().insert(hash, bytes);
        hash
    }

    pub fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl ComponentSource for Shelf {
    async fn component(&self, hash: ContentHash) -> Result<Option<Bytes>, String> {
        self.asked.lock().unwrap().push(hash);
        Ok(self.components.lock().unwrap().get(&hash).cloned())
    }
}

/// State entries that were committed.
#[derive(Debug, Default)]
pub struct Committed(pub HashMap<String, (Json, u64)>);

#[async_trait]
impl StateReader for Committed {
    async fn get(&self, key: &str) -> Result<Option<(Json, u64)>, StateUnavailable> {
        Ok(self.0.get(key).cloned())
    }
}

/// A sandbox and what surrounds it.
pub struct Lab {
    pub sandbox: Arc<WasmSandbox>,
    pub outside: Arc<Outside>,
    pub shelf: Arc<Shelf>,
}

impl Lab {
    pub fn new(settings: SandboxSettings) -> Self {
        Self::at(settings, CACHE.path(), component("plugin_jq"))
    }

    pub fn at(settings: SandboxSettings, cache: &Path, evaluator: Bytes) -> Self {
        Self::compiling(settings, cache, evaluator, Compiler::InProcess)
    }

    pub fn compiling(
        settings: SandboxSettings,
        cache: &Path,
        evaluator: Bytes,
        compiler: Compiler,
    ) -> Self {
        let outside = Arc::new(Outside::default());
        let shelf = Arc::new(Shelf::default());
        let sandbox = WasmSandbox::new(
            settings,
            cache,
            outside.clone(),
            shelf.clone(),
            Arc::new(Standing),
            evaluator,
        )
        .expect("a sandbox")
        .compile_with(compiler);
        Self { sandbox: Arc::new(sandbox), outside, shelf }
    }

    /// Installs a built component.
    pub async fn install(&self, name: &str) -> ContentHash {
        self.install_bytes(component(name)).await
    }

    pub async fn install_bytes(&self, bytes: Bytes) -> ContentHash {
        self.shelf.put(bytes.clone());
        self.sandbox.install(bytes).await.expect("an acceptable component").hash
    }

    pub async fn run(&self, call: Call) -> Invoked {
        self.sandbox.invoke(call.invocation()).await
    }

    /// The output of a call that is meant to succeed.
    pub async fn output(&self, call: Call) -> Value {
        let invoked = self.run(call).await;
        let outcome = invoked.result.expect("an outcome");
        outcome.output.value().clone()
    }

    /// The error of a call that is meant to fail.
    pub async fn error(&self, call: Call) -> StepError {
        let invoked = self.run(call).await;
        invoked.result.expect_err("an error")
    }
}

/// An invocation with everything that a scenario does not care about filled in.
#[derive(Debug, Clone)]
pub struct Call {
    plugin: ContentHash,
    operation: &'static str,
    params: Value,
    tenant: u128,
    workflow: u128,
    version: u32,
    effect: Effect,
    timeout: Duration,
    key: &'static str,
    state: HashMap<String, (Json, u64)>,
    journal: Vec<JournalEntry>,
}

impl Call {
    pub fn new(plugin: ContentHash, operation: &'static str, params: Value) -> Self {
        Self {
            plugin,
            operation,
            params,
            tenant: 1,
            workflow: 1,
            version: 1,
            effect: Effect::Pure,
            timeout: LONG,
            key: "key-1",
            state: HashMap::new(),
            journal: Vec::new(),
        }
    }

    pub fn tenant(mut self, tenant: u128) -> Self {
        self.tenant = tenant;
        self
    }

    pub fn workflow(mut self, workflow: u128) -> Self {
        self.workflow = workflow;
        self
    }

    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub fn key(mut self, key: &'static str) -> Self {
        self.key = key;
        self
    }

    pub fn state(mut self, key: &str, value: &str, version: u64) -> Self {
        self.state.insert(key.to_owned(), (Json::from_trusted(value), version));
        self
    }

    pub fn journal(mut self, entries: &[JournalEntry]) -> Self {
        self.journal.extend_from_slice(entries);
        self
    }

    pub fn caller(&self) -> Arc<Caller> {
        Arc::new(Caller {
            tenant: TenantId(Uuid::from_u128(self.tenant)),
            workflow: WorkflowId(Uuid::from_u128(self.workflow)),
            run: RunId(Uuid::from_u128(7)),
            node: "deal".to_owned(),
            attempt: 2,
            idempotency_key: self.key.to_owned(),
            correlation_id: "corr-1".to_owned(),
            effect: self.effect,
        })
    }

    pub fn invocation(self) -> Invocation {
        Invocation {
            plugin: self.plugin,
            operation: self.operation.to_owned(),
            caller: self.caller(),
            params: Json::from_value(self.params),
            version: self.version,
            connection: None,
            started_at: NOW,
            timeout: self.timeout,
            deadline: NOW.plus(self.timeout),
            state: Arc::new(Committed(self.state)),
            journal: self.journal.into(),
            interrupt: Arc::new(Uninterrupted),
        }
    }
}
